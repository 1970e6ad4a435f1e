package io.malleable.iscsi;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

class FullStoreTest {
  private final AtomicLong nowNanos = new AtomicLong(-5);

  private void pass(long seconds) {
    nowNanos.addAndGet(TimeUnit.SECONDS.toNanos(seconds));
  }

  @Test
  void theTimeCountsFromTheFirstRefusalWhateverComesBetween() {
    FullStore store = new FullStore(Duration.ofSeconds(30), nowNanos::get);
    for (int i = 0; i < 30; i++) {
      assertTrue(store.holdsBack());
      pass(1);
    }
    for (int i = 0; i < 300; i++) {
      assertFalse(store.holdsBack());
      pass(1);
    }
  }

  @Test
  void aStoreThatIsFullAnotherTimeHoldsBackAgain() {
    FullStore store = new FullStore(Duration.ofSeconds(30), nowNanos::get);
    assertTrue(store.holdsBack());
    pass(30);
    assertFalse(store.holdsBack());
    pass(60);
    assertFalse(store.holdsBack(), "still the same time");
    pass(61);
    assertTrue(store.holdsBack());
  }

  @Test
  void withoutATimeNothingIsHeldBack() {
    assertFalse(new FullStore(Duration.ZERO, nowNanos::get).holdsBack());
  }

  @Test
  void noTimeIsLongerThanInitiatorsBear() {
    IscsiServerConfig config = IscsiServerConfig.of(List.of());
    assertThrows(
        IllegalArgumentException.class, () -> config.withStoreFullBusy(Duration.ofSeconds(151)));
    assertThrows(
        IllegalArgumentException.class, () -> config.withStoreFullBusy(Duration.ofSeconds(-1)));
  }
}
