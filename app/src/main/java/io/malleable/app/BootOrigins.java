package io.malleable.app;

import io.malleable.control.Binding;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;

/**
 * By which address the machine of each disk reached the boot listener: its system can use the same
 * one. Bounded, the eldest go; safe for all threads.
 */
final class BootOrigins {
  private static final int MAX_ORIGINS = 20_000;

  private volatile Optional<String> otherwise = Optional.empty();
  private final Map<String, String> byTarget =
      Collections.synchronizedMap(
          new LinkedHashMap<>() {
            private static final long serialVersionUID = 1L;

            @Override
            protected boolean removeEldestEntry(Map.Entry<String, String> eldest) {
              return size() > MAX_ORIGINS;
            }
          });

  /** Where the listener can be reached by a machine that has not called since the start. */
  void otherwise(String origin) {
    otherwise = Optional.of(origin);
  }

  void remember(String target, String origin) {
    byTarget.put(target, origin);
  }

  /** {@code http://HOST:PORT}, where it is known. */
  Optional<String> of(UUID disk) {
    return Optional.ofNullable(byTarget.get(Binding.targetName(disk))).or(() -> otherwise);
  }
}
