package io.malleable.bench;

import io.malleable.volume.Volume;
import io.malleable.volume.VolumeStore;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Random;
import java.util.UUID;
import java.util.function.UnaryOperator;

/** Clone, snapshot, rollback and promote, called at a store. */
final class StoreCalls {
  private static final int WRITE_BYTES = WriteLoad.WRITE_BYTES;

  private final String contender;
  private final VolumeStore store;
  private final CallTimes times;

  StoreCalls(String contender, VolumeStore store, CallTimes times) {
    this.contender = contender;
    this.store = store;
    this.times = times;
  }

  void measure() throws IOException, InterruptedException {
    for (long size : CallTimes.SIZES) {
      bySize(size);
    }
    for (int depth : CallTimes.DEPTHS) {
      deep(chain(depth), CallTimes.GIB, what -> CallTimes.atDepth(what, depth));
    }
    for (int perSecond : CallTimes.LOADS) {
      underLoad(perSecond);
    }
  }

  private void bySize(long size) throws IOException, InterruptedException {
    UUID image = image(store, size);
    times.rounds(round -> {
      UUID disk = UUID.randomUUID();
      UUID snapshot = UUID.randomUUID();
      CallTimes.Row row = round.row(contender, what -> CallTimes.atSize(what, size));
      row.time("clone", () -> store.clone(disk, image, size));
      try (Volume volume = store.open(disk)) {
        volume.write(0, ByteBuffer.allocate(WRITE_BYTES));
        row.time("snapshot", () -> store.snapshot(snapshot, disk));
      }
      row.time("rollback", () -> store.rollback(disk, snapshot));
      row.time("promote", () -> promote(UUID.randomUUID(), snapshot, size));
    });
  }

  /**
   * Each call on a disk that nobody has open; it is left as it was.
   *
   * @param title of a row, from what is called
   */
  void deep(UUID disk, long sizeBytes, UnaryOperator<String> title)
      throws IOException, InterruptedException {
    times.rounds(round -> {
      UUID snapshot = UUID.randomUUID();
      UUID clone = UUID.randomUUID();
      UUID image = UUID.randomUUID();
      CallTimes.Row row = round.row(contender, title);
      row.time("snapshot", () -> store.snapshot(snapshot, disk));
      row.time("clone", () -> store.clone(clone, snapshot, sizeBytes));
      row.time("rollback", () -> store.rollback(disk, snapshot));
      row.time("promote", () -> promote(image, snapshot, sizeBytes));
      store.delete(image);
      store.delete(clone);
      store.delete(snapshot);
    });
  }

  /** As the server makes a golden image of a snapshot. */
  private void promote(UUID image, UUID snapshot, long sizeBytes) throws IOException {
    store.clone(image, snapshot, sizeBytes);
    store.seal(image);
  }

  private void underLoad(int perSecond) throws IOException, InterruptedException {
    UUID disk = UUID.randomUUID();
    store.clone(disk, image(store, CallTimes.GIB), CallTimes.GIB);
    try (Volume volume = store.open(disk);
        WriteLoad load = WriteLoad.start(volume::write, CallTimes.DATA_BYTES, perSecond)) {
      times.rounds(round ->
          round.underLoad(
              contender, perSecond, load, () -> store.snapshot(UUID.randomUUID(), disk)));
    }
  }

  /** A sealed, sparse image with some MiB of data. */
  static UUID image(VolumeStore store, long sizeBytes) throws IOException {
    return image(store, sizeBytes, CallTimes.DATA_BYTES);
  }

  /** A sealed image of which the first bytes hold data. */
  static UUID image(VolumeStore store, long sizeBytes, long dataBytes) throws IOException {
    UUID image = UUID.randomUUID();
    store.create(image, sizeBytes);
    try (Volume volume = store.open(image)) {
      ByteBuffer chunk = ByteBuffer.allocate(1 << 20);
      new Random(1).nextBytes(chunk.array());
      for (long offset = 0; offset < dataBytes; offset += chunk.capacity()) {
        volume.write(offset, chunk.clear());
      }
    }
    store.seal(image);
    return image;
  }

  /**
   * A disk of 1 GiB with {@code depth - 1} snapshots, each of which has something of its own. All
   * of it within one of RBD's objects, since every snapshot keeps its own copy of what is written
   * to.
   */
  private UUID chain(int depth) throws IOException {
    UUID disk = UUID.randomUUID();
    store.clone(disk, image(store, CallTimes.GIB), CallTimes.GIB);
    for (int layer = 1; layer < depth; layer++) {
      try (Volume volume = store.open(disk)) {
        volume.write((long) layer * WRITE_BYTES, ByteBuffer.allocate(WRITE_BYTES));
      }
      store.snapshot(UUID.randomUUID(), disk);
    }
    return disk;
  }
}
