package io.malleable.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

final class StallGuardTest {
  @Test
  void aPeerThatTakesNothingEndsTheStream() throws Exception {
    try (ServerSocket listener = new ServerSocket(0, 1, InetAddress.getLoopbackAddress());
        Socket peer = new Socket(listener.getInetAddress(), listener.getLocalPort());
        Socket ours = listener.accept()) {
      CompletableFuture<Exception> ended = new CompletableFuture<>();
      Thread.ofVirtual()
          .start(() -> {
            try (StallGuard guard =
                new StallGuard(ours.getOutputStream(), Duration.ofMillis(200)).started()) {
              byte[] chunk = new byte[1 << 16];
              while (true) {
                guard.write(chunk, 0, chunk.length);
              }
            } catch (IOException | RuntimeException e) {
              ended.complete(e);
            }
          });
      assertTrue(ended.get(60, TimeUnit.SECONDS) instanceof IOException, ended::toString);
      assertTrue(ours.isClosed());
      assertFalse(peer.isClosed());
    }
  }

  @Test
  void aStreamThatEndsInTimeIsLeftAlone() throws Exception {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try (StallGuard guard = new StallGuard(out, Duration.ofHours(1)).started()) {
      guard.write(new byte[100], 0, 100);
    }
    assertEquals(100, out.size());
    assertFalse(Thread.currentThread().isInterrupted());
  }
}
