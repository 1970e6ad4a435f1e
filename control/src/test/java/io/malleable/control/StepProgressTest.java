package io.malleable.control;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.malleable.control.db.SqliteDatabase;
import io.malleable.volume.Volume;
import io.malleable.volume.VolumeException;
import io.malleable.volume.local.LocalVolumeStore;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.UUID;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class StepProgressTest {
  private static final int MIB = 1 << 20;

  /** A step that shows how far it is and is aborted half-way. */
  private static final class HalfWay implements Run {
    private final Database database;
    private double shown;

    HalfWay(Database database) {
      this.database = database;
    }

    @Override
    public Operation operation() {
      throw new UnsupportedOperationException("no operation");
    }

    @Override
    public Database database() {
      return database;
    }

    @Override
    public void progress(double done) {
      shown = done;
    }

    @Override
    public boolean isCancelled() {
      return shown >= 0.5;
    }
  }

  @Test
  void aFlattenShowsHowFarItIsAndEndsAsAbortedWhenItsOperationIs(@TempDir Path directory)
      throws Exception {
    UUID image = UUID.randomUUID();
    UUID disk = UUID.randomUUID();
    try (SqliteDatabase database = SqliteDatabase.open(directory.resolve("control.db"));
        LocalVolumeStore volumes = LocalVolumeStore.open(directory.resolve("volumes"))) {
      volumes.create(image, 8 * MIB);
      try (Volume volume = volumes.open(image)) {
        volume.write(0, ByteBuffer.allocate(4 * MIB));
      }
      volumes.seal(image);
      volumes.clone(disk, image, 8 * MIB);
      HalfWay run = new HalfWay(database);
      VolumeException end =
          assertThrows(VolumeException.class, () -> volumes.flatten(disk, new StepProgress(run)));
      assertEquals(0.5, run.shown);
      assertEquals(ErrorCode.ABORTED, Failures.of(end).code());
      assertEquals(image, volumes.find(disk).orElseThrow().parent().orElseThrow());
    }
  }
}
