package io.malleable.volume.local;

import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeException.Reason;
import java.io.Closeable;
import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.nio.ByteBuffer;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * Checksums of a layer that may still be written to, for those of its regions that nobody has
 * written to for a while. Before such a region changes again, {@link LiveFile} says durably that it
 * is in flux; so whatever ends the process or the host, a region that is quiet on disk has the data
 * that its checksums are of. {@link LiveSumming} makes regions quiet.
 *
 * <p>Whoever writes holds the volume's gate from before {@link #beforeWrite} until the data has
 * arrived, and whoever reads holds it as well, unless the layer is frozen. The gate is closed when
 * regions become {@code PUBLISHING}: so a write that found one without checksums either has ended
 * by then, or has left its mark on the region; and a read that finds a region with checksums after
 * it has read the data has read what the checksums are of.
 */
final class LiveSums implements Closeable {
  private static final Logger LOG = System.getLogger(LiveSums.class.getName());

  /** So many marks between two sweeps are made one at a time; then each marks twice as many. */
  private static final int CALM_MARKS = 8;

  /** 64 GiB with one sync: 16 pieces of 4 KiB to write. */
  private static final int MAX_WIDTH_SHIFT = 12;

  private final StoreFiles files;
  private final UUID layer;
  private final BlockMap map;
  private final StoreFile data;
  private final RegionStates states = new RegionStates();

  /** What is on disk is not known: it goes before anything else is written. */
  private volatile boolean broken;

  /** Guards what the file says of regions. Taken by who holds the volume's gate, never before. */
  private final ReentrantLock marking = new ReentrantLock();

  private volatile @Nullable LiveFile file;
  // Guarded by marking.
  private boolean unsure;
  private boolean lending;
  private int marks;

  private LiveSums(StoreFiles files, Layer layer) {
    this.files = files;
    this.layer = layer.id;
    this.map = layer.map;
    this.data = layer.data;
  }

  /** Of a layer that was just opened. What cannot be read goes before the next write. */
  static LiveSums open(StoreFiles files, Layer layer) {
    LiveSums sums = new LiveSums(files, layer);
    try {
      if (files.exists(StoreLayout.live(layer.id))) {
        sums.load(LiveFile.open(files, layer.id));
      }
    } catch (IOException e) {
      sums.broken = true;
      LOG.log(Level.ERROR, "layer " + layer.id + " is read without checks for now", e);
    }
    return sums;
  }

  private void load(LiveFile found) throws IOException {
    file = found;
    int end = found.endGroup();
    for (long group = 0; group < end; group++) {
      LiveFile.Entries entries = found.entries(group);
      states.add(group);
      for (int i = 0; i < LiveFile.GROUP_REGIONS; i++) {
        long region = group << LiveFile.GROUP_SHIFT | i;
        switch (entries.state(region)) {
          case NO_SUMS -> {}
          case QUIET -> states.set(region, RegionStates.QUIET);
          case IN_FLUX, DAMAGED -> {
            states.set(region, RegionStates.UNSURE);
            unsure = true;
          }
        }
      }
    }
  }

  RegionStates states() {
    return states;
  }

  // Writing.

  /** Before the blocks change: no region of theirs is quiet on disk when this returns. */
  void beforeWrite(long firstBlock, long endBlock) throws IOException {
    if (broken) {
      discard();
    }
    long last = (endBlock - 1) >>> BlockMap.PAGE_SHIFT;
    for (long region = firstBlock >>> BlockMap.PAGE_SHIFT; region <= last; region++) {
      if (states.get(region) != RegionStates.TOUCHED) {
        touch(region, last);
        return;
      }
    }
  }

  /**
   * The same for bytes that are to be zero: whole blocks between two that may be cut in two.
   *
   * @param firstWhole first of the blocks that lie wholly within the range
   * @param endWhole behind the last of them
   */
  void beforeZeroing(long offsetBytes, long end, long firstWhole, long endWhole)
      throws IOException {
    if (firstWhole << BlockMap.BLOCK_SHIFT > offsetBytes) {
      beforeWrite(firstWhole - 1, firstWhole);
    }
    if (endWhole << BlockMap.BLOCK_SHIFT < end) {
      beforeWrite(endWhole, endWhole + 1);
    }
    beforeZeroing(firstWhole, endWhole);
  }

  /** The same for whole blocks, which changes nothing where there is no data. */
  private void beforeZeroing(long firstBlock, long endBlock) throws IOException {
    if (broken) {
      discard();
    }
    long endPage = (endBlock + BlockMap.PAGE_BLOCKS - 1) >>> BlockMap.PAGE_SHIFT;
    long end = Math.min(states.end(), endPage);
    for (long region = firstBlock >>> BlockMap.PAGE_SHIFT; region < end; region++) {
      if (states.get(region) != RegionStates.TOUCHED) {
        long start = region << BlockMap.PAGE_SHIFT;
        long from = Math.max(firstBlock, start);
        if (map.hasData(from, Math.min(endBlock, start + BlockMap.PAGE_BLOCKS))) {
          touch(region, region);
        }
      }
    }
  }

  private void touch(long firstRegion, long lastRegion) throws IOException {
    long last = Math.min(lastRegion, states.end() - 1);
    for (long region = firstRegion; region <= last; region++) {
      switch (states.get(region)) {
        case RegionStates.TOUCHED -> {}
        case RegionStates.UNTOUCHED, RegionStates.RIPE, RegionStates.SUMMING ->
            states.set(region, RegionStates.TOUCHED);
        case RegionStates.LENT -> withoutSums(region);
        default -> {
          mark(region, last);
          return;
        }
      }
    }
  }

  /** Only blocks of regions with checksums are remembered as checked. */
  private void withoutSums(long region) {
    states.set(region, RegionStates.TOUCHED);
    map.uncheck(region);
  }

  /** As {@link #touch}, for regions that may be quiet on disk. */
  private void mark(long firstRegion, long lastRegion) throws IOException {
    marking.lock();
    try {
      if (broken) {
        discard();
        return;
      }
      long width = 1L << Math.clamp(marks - CALM_MARKS, 0, MAX_WIDTH_SHIFT);
      long from = firstRegion & -width;
      long end = Math.min(states.end(), Math.max(lastRegion + 1, from + width));
      if (writeInFlux(from, end)) {
        marks++;
      }
      for (long region = from; region < end; region++) {
        if (region >= firstRegion && region <= lastRegion) {
          withoutSums(region);
        } else if (states.get(region) == RegionStates.QUIET) {
          states.set(region, RegionStates.LENT);
          lending = true;
        }
      }
    } finally {
      marking.unlock();
    }
  }

  /**
   * Durable when it returns, for what is quiet in the range and for all that is unsure.
   *
   * @return whether there was anything to write
   */
  private boolean writeInFlux(long firstRegion, long endRegion) throws IOException {
    LiveFile open = file;
    if (open == null) {
      return false;
    }
    try {
      boolean written = false;
      long first = unsure ? 0 : firstRegion;
      long end = unsure ? states.end() : endRegion;
      for (long group = groupOf(first);
          group < groupOf(end + LiveFile.GROUP_REGIONS - 1);
          group++) {
        written |= writeInFlux(open, group, firstRegion, endRegion);
      }
      if (written) {
        open.sync();
      }
      if (unsure) {
        states.replaceAll(RegionStates.UNSURE, RegionStates.TOUCHED);
        unsure = false;
      }
      return written;
    } catch (IOException e) {
      broken = true;
      LOG.log(Level.WARNING, open.name() + " failed; its checksums are made anew", e);
      discard();
      return false;
    }
  }

  private static long groupOf(long region) {
    return region >>> LiveFile.GROUP_SHIFT;
  }

  private boolean writeInFlux(LiveFile open, long group, long firstRegion, long endRegion)
      throws IOException {
    LiveFile.Entries entries = null;
    for (int i = 0; i < LiveFile.GROUP_REGIONS; i++) {
      long region = group << LiveFile.GROUP_SHIFT | i;
      byte state = states.get(region);
      boolean inRange = region >= firstRegion && region < endRegion;
      if (state == RegionStates.UNSURE || (inRange && state == RegionStates.QUIET)) {
        entries = entries == null ? open.entries(group) : entries;
        entries.set(region, LiveFile.State.IN_FLUX, entries.sumsCrc(region));
      }
    }
    if (entries == null) {
      return false;
    }
    entries.write();
    return true;
  }

  /**
   * No region has checksums any more, durably: those of a layer that a merge is about to change, or
   * of a file that failed.
   */
  void discard() throws IOException {
    marking.lock();
    try {
      LiveFile open = file;
      if (open == null && !broken) {
        return;
      }
      broken = true;
      files.delete(StoreLayout.live(layer));
      files.syncDirectory(StoreLayout.LAYERS);
      for (long region = 0; region < states.end(); region++) {
        if (states.get(region) > RegionStates.SUMMING) {
          withoutSums(region);
        }
      }
      unsure = false;
      lending = false;
      broken = false;
      retire();
    } finally {
      marking.unlock();
    }
  }

  // Reading.

  private boolean hasSums(long region) {
    byte state = states.getNow(region);
    return state == RegionStates.QUIET || state == RegionStates.LENT;
  }

  /**
   * Compares what was just read, between {@code start} and the buffer's position, as far as its
   * regions have checksums and it was not compared before.
   */
  void check(long positionBytes, ByteBuffer read, int start) throws IOException {
    long endBytes = positionBytes + read.position() - start;
    long block = positionBytes >>> BlockMap.BLOCK_SHIFT;
    for (; block << BlockMap.BLOCK_SHIFT < endBytes; block++) {
      if (hasSums(block >>> BlockMap.PAGE_SHIFT) && !map.checked(block)) {
        long blockBytes = block << BlockMap.BLOCK_SHIFT;
        compare(block, LayerSums.blockCrc(data, blockBytes, positionBytes, read, start));
      }
    }
  }

  private void compare(long block, int actual) throws IOException {
    long region = block >>> BlockMap.PAGE_SHIFT;
    LiveFile open = file;
    if (open == null) {
      return;
    }
    int expected;
    boolean whole;
    try {
      expected = open.sum(block);
      whole = expected == actual || open.sums(region) != null;
    } catch (IOException e) {
      forget(open, region, e);
      return;
    }
    if (!hasSums(region)) {
      return;
    }
    if (!whole) {
      forget(open, region, new VolumeException(Reason.CORRUPT, open.name() + " is damaged"));
    } else if (expected == actual) {
      map.check(block);
      if (!hasSums(region)) {
        map.uncheck(region);
      }
    } else if (expected != LiveFile.NO_SUM) {
      throw LayerSums.damage(layer, block, actual, expected);
    }
  }

  /** The checksums of a region cannot be read: it goes without them until new ones are made. */
  private void forget(LiveFile unreadable, long region, IOException cause) {
    marking.lock();
    try {
      if (hasSums(region) && file == unreadable) {
        LOG.log(
            Level.ERROR,
            "layer %s is read without checks for 16 MiB from byte %d on"
                .formatted(layer, region << (BlockMap.PAGE_SHIFT + BlockMap.BLOCK_SHIFT)),
            cause);
        states.set(region, RegionStates.UNSURE);
        unsure = true;
        map.uncheck(region);
      }
    } finally {
      marking.unlock();
    }
  }

  /** For a layer that froze: the checksums of a region, where it has some that can be read. */
  @Nullable ByteBuffer sumsOf(long region) throws IOException {
    LiveFile open = file;
    return open != null && hasSums(region) ? open.sums(region) : null;
  }

  // Making regions quiet: by one thread at a time.

  /**
   * Regions get older. What was marked in vain can be returned, unless so much is written that it
   * would be marked again.
   *
   * @return whether there is something to return
   */
  boolean sweep() throws IOException {
    marking.lock();
    try {
      if (broken) {
        discard();
      }
      if (unsure) {
        writeInFlux(0, 0);
      }
      states.age(map);
      boolean calm = marks <= CALM_MARKS;
      marks = 0;
      return calm && lending;
    } finally {
      marking.unlock();
    }
  }

  /** The file, which is created if there is none. */
  LiveFile fileForSums() throws IOException {
    marking.lock();
    try {
      LiveFile open = file;
      if (open == null) {
        open = LiveFile.create(files, layer);
        file = open;
      }
      return open;
    } catch (IOException e) {
      broken = true;
      throw e;
    } finally {
      marking.unlock();
    }
  }

  /** While nobody writes: what was marked in vain is published once more. */
  void beginReturning() {
    marking.lock();
    try {
      lending = false;
      states.replaceAll(RegionStates.LENT, RegionStates.PUBLISHING);
    } finally {
      marking.unlock();
    }
  }

  /**
   * What is {@code PUBLISHING}, as nobody has touched it meanwhile, becomes quiet, durably.
   *
   * @param summed the CRCs of checksums that were made, which are durable, as is their data
   */
  void publish(Map<Long, Integer> summed) throws IOException {
    marking.lock();
    try {
      LiveFile open = file;
      if (open == null || broken) {
        return;
      }
      boolean written = false;
      for (long group = 0; group < groupOf(states.end()); group++) {
        written |= writeQuiet(open, group, summed);
      }
      if (written) {
        open.sync();
        states.replaceAll(RegionStates.PUBLISHING, RegionStates.QUIET);
      }
    } catch (IOException e) {
      broken = true;
      throw e;
    } finally {
      marking.unlock();
    }
  }

  private boolean writeQuiet(LiveFile open, long group, Map<Long, Integer> summed)
      throws IOException {
    LiveFile.Entries entries = null;
    for (int i = 0; i < LiveFile.GROUP_REGIONS; i++) {
      long region = group << LiveFile.GROUP_SHIFT | i;
      if (states.get(region) == RegionStates.PUBLISHING) {
        entries = entries == null ? open.entries(group) : entries;
        Integer crc = summed.get(region);
        entries.set(region, LiveFile.State.QUIET, crc == null ? entries.sumsCrc(region) : crc);
      }
    }
    if (entries == null) {
      return false;
    }
    entries.write();
    return true;
  }

  /** Nobody needs them any more. */
  void retire() {
    try {
      closeFile();
    } catch (IOException e) {
      LOG.log(Level.WARNING, "cannot close " + StoreLayout.live(layer), e);
    }
  }

  private void closeFile() throws IOException {
    LiveFile open = file;
    file = null;
    if (open != null) {
      open.close();
    }
  }

  /** Nobody writes any more. */
  @Override
  public void close() throws IOException {
    try {
      if (lending && !broken) {
        beginReturning();
        publish(Map.of());
      }
    } catch (IOException e) {
      // In flux or quiet, either is right.
      LOG.log(Level.WARNING, "some checksums of layer " + layer + " are to be made anew", e);
    }
    closeFile();
  }
}
