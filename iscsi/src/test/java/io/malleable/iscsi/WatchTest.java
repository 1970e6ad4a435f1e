package io.malleable.iscsi;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.nio.channels.Channels;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** A peer that is silent, seen through a clock in the hands of the test. */
class WatchTest {
  private static final Duration PING_INTERVAL = Duration.ofSeconds(20);
  private static final Duration STALL_TIMEOUT = Duration.ofSeconds(30);

  private final Watch watch =
      new Watch(
          IscsiServerConfig.of(List.of())
              .withTimeouts(Duration.ofSeconds(15), PING_INTERVAL, STALL_TIMEOUT),
          new PduReader(
              Channels.newChannel(new ByteArrayInputStream(new byte[0])),
              new BufferPool(4L * BufferPool.BUFFER_BYTES, 1000)),
          new Outbound(Channels.newChannel(new ByteArrayOutputStream())));
  private long nowNanos = System.nanoTime();

  @BeforeEach
  void aSessionIsIdle() {
    watch.loggedIn();
    watch.waiting(true);
    tickAfter(Duration.ZERO);
  }

  private Watch.Verdict tickAfter(Duration time) {
    nowNanos += time.toNanos();
    return watch.tick(nowNanos, 0);
  }

  @Test
  void silenceAfterAPingThatWasSentEndsTheConnection() {
    assertEquals(Watch.Verdict.PING, tickAfter(PING_INTERVAL.plusSeconds(1)));
    watch.pingSent(nowNanos);
    assertEquals(Watch.Verdict.NOTHING, tickAfter(STALL_TIMEOUT));
    assertNotNull(tickAfter(Duration.ofSeconds(1)).end());
  }

  @Test
  void aPingThatWaitsBehindStalledPeersIsNotHeldAgainstThisOne() {
    assertEquals(Watch.Verdict.PING, tickAfter(PING_INTERVAL.plusSeconds(1)));
    assertEquals(Watch.Verdict.NOTHING, tickAfter(Duration.ofHours(1)));
    watch.pingSent(nowNanos);
    assertEquals(Watch.Verdict.NOTHING, tickAfter(STALL_TIMEOUT), "all of the time from then on");
    assertNotNull(tickAfter(Duration.ofSeconds(1)).end());
  }

  @Test
  void aPingThatWasNotSentIsTriedAgain() {
    assertEquals(Watch.Verdict.PING, tickAfter(PING_INTERVAL.plusSeconds(1)));
    watch.pingSkipped();
    for (int i = 0; i < 10; i++) {
      Watch.Verdict verdict = tickAfter(STALL_TIMEOUT);
      assertNull(verdict.end());
      if (verdict.ping()) {
        watch.pingSkipped();
      }
    }
    Watch.Verdict verdict = tickAfter(PING_INTERVAL.plusSeconds(1));
    assertEquals(Watch.Verdict.PING, verdict.ping() ? verdict : tickAfter(STALL_TIMEOUT));
  }
}
