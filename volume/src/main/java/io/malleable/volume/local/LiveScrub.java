package io.malleable.volume.local;

import io.malleable.volume.VolumeException;
import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.UUID;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Compares the data of a layer with the checksums that its quiet regions have on disk. A disk may
 * write to it meanwhile: what changes is in flux on disk before it does.
 */
final class LiveScrub implements Closeable {
  /** Of a region whose checksums are made anew time and again. */
  private static final int ATTEMPTS = 3;

  private final UUID layer;
  private final LiveFile file;
  private final StoreFile data;
  private final Consumer<String> damages;
  private final ByteBuffer block = ByteBuffer.allocate(BlockMap.BLOCK_BYTES);

  /** The last one that was asked about, and its checksums if it is quiet. */
  private long region = -1;

  private @Nullable ByteBuffer sums;

  private LiveScrub(UUID layer, LiveFile file, StoreFile data, Consumer<String> damages) {
    this.layer = layer;
    this.file = file;
    this.data = data;
    this.damages = damages;
  }

  /**
   * Null when there are no checksums, or none that can be read.
   *
   * @param damages is told of what is wrong with the checksums themselves
   */
  static @Nullable LiveScrub open(
      StoreFiles files, UUID layer, StoreFile data, Consumer<String> damages) throws IOException {
    if (!files.exists(StoreLayout.live(layer))) {
      return null;
    }
    try {
      return new LiveScrub(layer, LiveFile.open(files, layer), data, damages);
    } catch (IOException e) {
      damages.accept(e.getMessage() + "; the layer's data is read without checks");
      return null;
    }
  }

  /** Whether the region is quiet. */
  boolean covers(long wanted) throws IOException {
    if (wanted != region) {
      sums = load(wanted);
      region = wanted;
    }
    return sums != null;
  }

  private @Nullable ByteBuffer load(long wanted) throws IOException {
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
      LiveFile.State before = stateOf(wanted);
      ByteBuffer found = before == LiveFile.State.QUIET ? file.sums(wanted) : null;
      if (found != null || before != LiveFile.State.QUIET) {
        if (before == LiveFile.State.DAMAGED) {
          tellDamage(wanted);
        }
        return found;
      }
    }
    tellDamage(wanted);
    return null;
  }

  private LiveFile.State stateOf(long wanted) throws IOException {
    return file.entries(wanted >>> LiveFile.GROUP_SHIFT).state(wanted);
  }

  private void tellDamage(long wanted) {
    damages.accept(
        "%s: checksums of 16 MiB from byte %d on are damaged; these are read without checks"
            .formatted(file.name(), wanted << (BlockMap.PAGE_SHIFT + BlockMap.BLOCK_SHIFT)));
  }

  /**
   * Compares a block of a region that was quiet.
   *
   * @return whether there was something to compare it with
   * @throws VolumeException {@code CORRUPT} if it is not as its checksum says
   */
  boolean check(long number) throws IOException {
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
      if (!covers(number >>> BlockMap.PAGE_SHIFT)) {
        return false;
      }
      int expected = expected(number);
      if (expected == LiveFile.NO_SUM) {
        return false;
      }
      data.read(number << BlockMap.BLOCK_SHIFT, block.clear());
      int actual = Formats.crc(block, 0, BlockMap.BLOCK_BYTES);
      if (actual == expected) {
        return true;
      }
      // Unless it was written to since its checksums were read.
      region = -1;
      if (covers(number >>> BlockMap.PAGE_SHIFT) && expected(number) == expected) {
        throw LayerSums.damage(layer, number, actual, expected);
      }
    }
    return false;
  }

  private int expected(long number) {
    ByteBuffer known = sums;
    int index = (int) number & (BlockMap.PAGE_BLOCKS - 1);
    return known == null ? LiveFile.NO_SUM : known.getInt(index * Integer.BYTES);
  }

  @Override
  public void close() throws IOException {
    file.close();
  }
}
