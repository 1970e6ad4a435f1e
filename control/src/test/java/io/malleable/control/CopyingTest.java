package io.malleable.control;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.volume.VolumeException;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Flattening and full copies take long: they say how far they are, and can be ended. */
final class CopyingTest {
  private final CountDownLatch halfWay = new CountDownLatch(1);
  private Fixture fixture;

  @BeforeEach
  void open(@TempDir Path directory) throws Exception {
    fixture = new Fixture(directory);
    fixture.image("golden");
    fixture.disk("disk", "golden");
    fixture.copying =
        progress -> {
          progress.onProgress(500, 1000);
          halfWay.countDown();
          while (!progress.cancelled()) {
            Thread.onSpinWait();
          }
          throw new VolumeException(VolumeException.Reason.CANCELLED, "cancelled");
        };
  }

  @AfterEach
  void close() throws IOException {
    fixture.close();
  }

  private Operation abortedHalfWay(Operation begun, double expectedProgress) throws Exception {
    assertTrue(halfWay.await(Fixture.PATIENCE_MILLIS, TimeUnit.MILLISECONDS));
    String id = begun.id().toString();
    Operation shown = fixture.control.operations().get(fixture.project(), id);
    assertEquals(expectedProgress, shown.progress(), 0.001);
    var _ = fixture.control.operations().abort(fixture.project(), id);
    Operation ended = fixture.end(begun);
    assertEquals(OperationState.ABORTED, ended.state(), ended::toString);
    return ended;
  }

  @Test
  void aFlattenThatIsAbortedLeavesTheDiskAsItWas() throws Exception {
    abortedHalfWay(fixture.control.disks().flatten(fixture.project(), "disk"), 0.5);
    Disk disk = fixture.control.disks().get(fixture.project(), "disk");
    assertEquals("ready", disk.stateWord());
    assertEquals(Optional.of("golden"), disk.parent().map(Ref::name));
    fixture.copying = null;
    fixture.succeeded(fixture.control.disks().flatten(fixture.project(), "disk"));
    assertEquals(Optional.empty(), fixture.control.disks().get(fixture.project(), "disk").parent());
  }

  @Test
  void aFullCopyThatIsAbortedLeavesNothingBehind() throws Exception {
    Images images = fixture.control.images();
    abortedHalfWay(
        images.copy(
            fixture.project(),
            "golden",
            Optional.empty(),
            Optional.of("copy"),
            Images.CopyMode.FULL),
        0.5);
    assertEquals(
        List.of("golden"),
        images.list(fixture.project(), PageRequest.first()).items().stream()
            .map(Image::name)
            .toList());
    assertEquals(List.of(), fixture.control.inconsistencies());
  }

  @Test
  void aFlattenThatTheServerLeftUnfinishedGoesOnAfterTheRestart() throws Exception {
    Operation begun = fixture.control.disks().flatten(fixture.project(), "disk");
    assertTrue(halfWay.await(Fixture.PATIENCE_MILLIS, TimeUnit.MILLISECONDS));
    fixture.copying = null;
    fixture.restart();
    fixture.succeeded(begun);
  }
}
