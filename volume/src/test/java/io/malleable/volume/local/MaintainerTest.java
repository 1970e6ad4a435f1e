package io.malleable.volume.local;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;

/** The thread of the maintenance. */
class MaintainerTest {
  @Test
  void workThatAnErrorEndsIsDoneWhenThereIsTheNextReason() throws InterruptedException {
    Maintainer maintainer = new Maintainer();
    AtomicBoolean tried = new AtomicBoolean();
    CountDownLatch done = new CountDownLatch(1);
    maintainer.start(() -> {
      if (!tried.getAndSet(true)) {
        maintainer.soon();
        throw new OutOfMemoryError("made up");
      }
      done.countDown();
    });
    try {
      assertTrue(done.await(2, TimeUnit.MINUTES), "the thread has ended");
    } finally {
      assertTrue(maintainer.end());
    }
  }
}
