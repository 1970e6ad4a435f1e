package io.malleable.iscsi;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.ResourceBundle;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

class FailureLogTest {
  private final List<String> told = new ArrayList<>();
  private final AtomicLong nowNanos = new AtomicLong(Long.MAX_VALUE - 1);

  /** Keeps what it is told. */
  private final System.Logger logger =
      new System.Logger() {
        @Override
        public String getName() {
          return "kept";
        }

        @Override
        public boolean isLoggable(Level level) {
          return true;
        }

        @Override
        public void log(
            Level level,
            @Nullable ResourceBundle bundle,
            @Nullable String message,
            @Nullable Throwable thrown) {
          told.add(message + ": " + (thrown == null ? "" : thrown.getMessage()));
        }

        @Override
        public void log(
            Level level,
            @Nullable ResourceBundle bundle,
            @Nullable String format,
            @Nullable Object... parameters) {
          told.add(String.valueOf(format));
        }
      };

  @Test
  void aFailureThatGoesOnIsToldOnceASecondWithItsCount() {
    FailureLog log = new FailureLog(logger, "a write failed", nowNanos::get);
    for (int i = 0; i < 2500; i++) {
      log.log(new IOException("cause " + i));
      nowNanos.addAndGet(TimeUnit.MILLISECONDS.toNanos(1));
    }
    assertEquals(
        List.of(
            "a write failed: cause 0",
            "a write failed (and 999 times since this was last said): cause 1000",
            "a write failed (and 999 times since this was last said): cause 2000"),
        told);
  }
}
