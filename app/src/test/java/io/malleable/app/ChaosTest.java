package io.malleable.app;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Random;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The whole server under everything at once, see {@link Chaos}. */
final class ChaosTest {
  private static final Duration SHORT = Duration.ofSeconds(60);
  private static final Duration LONG = Duration.ofHours(1);

  @TempDir private Path directory;

  @Test
  void disksInUseKeepWhatWasAcknowledgedWhateverIsDoneToThemAndTheServer() throws Exception {
    run(SHORT);
  }

  @Test
  @Tag("long")
  void soTheyDoForAnHour() throws Exception {
    run(LONG);
  }

  private void run(Duration time) throws Exception {
    long seed = new Random().nextLong();
    System.out.println("seed " + seed);
    try (Chaos chaos = Chaos.start(directory, seed)) {
      chaos.run(time);
      System.out.println(chaos.kills() + " ends of the server's process");
      assertTrue(chaos.kills() > 0, "seed " + seed + ": the server's process never died");
    } catch (AssertionError e) {
      throw new AssertionError("seed " + seed + ": " + e.getMessage(), e);
    }
  }
}
