package io.malleable.volume.local;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.malleable.volume.Volume;
import io.malleable.volume.posix.Posix;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;

/** Runs in a process of its own, whose limit on descriptors it uses up. */
final class DescriptorShortage {
  private static final int VOLUMES = 120;

  private final List<FileChannel> hoard = new ArrayList<>();
  private final List<Volume> open = new ArrayList<>();

  private DescriptorShortage() {}

  public static void main(String[] arguments) throws IOException {
    new DescriptorShortage().run(Path.of(arguments[0]));
  }

  private void run(Path directory) throws IOException {
    try (LocalVolumeStore store =
        LocalVolumeStore.open(directory, new LocalVolumeStore.Settings(0))) {
      for (int i = 0; i < VOLUMES; i++) {
        UUID id = new UUID(0, i);
        store.create(id, 1 << 20);
        open.add(store.open(id));
        write(i, i);
        open.get(i).flush();
      }
      // Each has data, a map and checksums; the limit is 200 in all.
      checkAll();
      // Reports on what has none need classes that are not loaded yet; there is nothing to hide.
      hoardAll(directory);
      checkAll();
      for (int i = 0; i < VOLUMES; i++) {
        write(i, i + 1);
        hoardAll(directory);
        open.get(i).flush();
        assertEquals(i + 1, read(i));
      }
      for (Volume volume : open) {
        volume.close();
      }
    } finally {
      for (FileChannel each : hoard) {
        each.close();
      }
    }
  }

  private void checkAll() throws IOException {
    for (int i = 0; i < VOLUMES; i++) {
      assertEquals(i, read(i));
    }
  }

  /** Takes every descriptor that is left, as connections of a flood do. */
  private void hoardAll(Path directory) throws IOException {
    while (true) {
      try {
        hoard.add(FileChannel.open(directory));
      } catch (IOException e) {
        if (!Posix.outOfDescriptors(e)) {
          throw e;
        }
        return;
      }
    }
  }

  private void write(int number, long value) throws IOException {
    open.get(number).write(0, ByteBuffer.allocateDirect(4096).putLong(0, value));
  }

  private long read(int number) throws IOException {
    ByteBuffer block = ByteBuffer.allocateDirect(4096);
    open.get(number).read(0, block);
    return block.getLong(0);
  }
}
