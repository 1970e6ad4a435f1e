package io.malleable.netboot;

import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Lets through as many messages of a machine as a boot needs and no more, so that a broken or
 * hostile one cannot fill logs and timelines. Remembers a bounded number of machines, the most
 * recent ones. Used by one thread at a time.
 */
final class StormGuard {
  /** A boot has three DHCP clients in a row (ROM, iPXE, system), each with a few repetitions. */
  private static final int MESSAGES_PER_WINDOW = 32;

  private static final long WINDOW_SECONDS = 10;
  private static final int MAX_MACHINES = 16_384;

  private final Map<MacAddress, Window> windows =
      new LinkedHashMap<>(256, 0.75f, true) {
        @Override
        protected boolean removeEldestEntry(Map.Entry<MacAddress, Window> eldest) {
          return size() > MAX_MACHINES;
        }
      };

  /** Whether a message of the machine may pass now. */
  boolean admits(MacAddress mac, long nowSeconds) {
    Window window = windows.get(mac);
    if (window == null || nowSeconds - window.startSeconds >= WINDOW_SECONDS) {
      window = new Window(nowSeconds);
      windows.put(mac, window);
    }
    window.count++;
    return window.count <= MESSAGES_PER_WINDOW;
  }

  int size() {
    return windows.size();
  }

  private static final class Window {
    final long startSeconds;
    int count;

    Window(long startSeconds) {
      this.startSeconds = startSeconds;
    }
  }
}
