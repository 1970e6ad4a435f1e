package io.malleable.volume.local;

import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.WeakHashMap;
import java.util.function.BooleanSupplier;
import java.util.function.LongSupplier;

/**
 * Makes checksums of what nobody has written to for a while, in the layers of disks in use. Part of
 * {@link DiskCare}: one thread at a time.
 *
 * <p>For one disk: regions that are ripe are chosen; writes that may have chosen their way before
 * end; all data becomes durable; the checksums are computed and synced; with the gate closed it is
 * seen which regions nobody has touched since; these are published. Until then they are in flux on
 * disk, so it does not matter where a crash cuts this off.
 */
final class LiveSumming {
  private static final Logger LOG = System.getLogger(LiveSumming.class.getName());

  /** Read in one turn, of all disks together: 256 MiB. */
  private static final int REGIONS_AT_ONCE = 16;

  private static final byte[] NO_SUMS = new byte[LiveFile.SUMS_BYTES];

  private final SpaceGuard space;
  private final long quietNanos;
  private final LongSupplier nanoTime;
  private final BooleanSupplier ending;
  private final ByteBuffer buffer = ByteBuffer.allocateDirect(1 << 20);
  private final ByteBuffer sums = ByteBuffer.allocate(LiveFile.SUMS_BYTES);

  /** Goes on with its regions from there. */
  private final Map<LiveSums, Progress> progress = new WeakHashMap<>();

  private int regionsLeft;

  private static final class Progress {
    long sweptAtNanos;
    long nextRegion;
    boolean returning;

    Progress(long sweptAtNanos) {
      this.sweptAtNanos = sweptAtNanos;
    }
  }

  /**
   * Has done nothing yet.
   *
   * @param quiet for so long, and up to twice as long, nobody has written to what gets checksums
   */
  LiveSumming(SpaceGuard space, Duration quiet, LongSupplier nanoTime, BooleanSupplier ending) {
    this.space = space;
    this.quietNanos = quiet.toNanos();
    this.nanoTime = nanoTime;
    this.ending = ending;
  }

  /** A turn of all disks begins. */
  void begin() {
    regionsLeft = REGIONS_AT_ONCE;
  }

  /** Whether the turn is over: the next begins with the disk that was refused now. */
  boolean exhausted() {
    return regionsLeft == 0 || ending.getAsBoolean();
  }

  /** The disk's share of a turn. */
  void sum(ActiveVolume disk) throws IOException {
    LayerWriter writer = disk.healthyWriter();
    LiveSums live = writer == null ? null : writer.layer().live();
    if (writer == null || live == null) {
      return;
    }
    Progress of = progressOf(live);
    Map<Long, Integer> summed = new HashMap<>();
    try {
      List<Long> chosen = choose(live.states(), of);
      if (!chosen.isEmpty() && disk.whileIdle(writer, () -> {})) {
        disk.flush();
        compute(writer.layer(), live, chosen, summed);
      }

      if ((of.returning || !summed.isEmpty())
          && disk.whileIdle(writer, () -> beginPublishing(live, of, summed))) {
        live.publish(summed);
      }
    } catch (IOException e) {
      // Not before the next sweep.
      of.nextRegion = Long.MAX_VALUE;
      throw e;
    } finally {
      live.states().replaceAll(RegionStates.SUMMING, RegionStates.UNTOUCHED);
    }
  }

  private Progress progressOf(LiveSums live) throws IOException {
    long now = nanoTime.getAsLong();
    Progress of = progress.computeIfAbsent(live, any -> new Progress(now));
    if (now - of.sweptAtNanos >= quietNanos) {
      of.returning |= live.sweep();
      if (quietNanos == 0) {
        of.returning |= live.sweep();
      }
      of.sweptAtNanos = now;
      of.nextRegion = 0;
    }
    return of;
  }

  private List<Long> choose(RegionStates states, Progress of) {
    List<Long> chosen = new ArrayList<>();
    while (!exhausted()) {
      long region = states.takeRipe(of.nextRegion);
      if (region < 0) {
        of.nextRegion = Long.MAX_VALUE;
        break;
      }
      of.nextRegion = region + 1;
      regionsLeft--;
      chosen.add(region);
    }
    return chosen;
  }

  /** Leaves out regions that cannot be read. */
  private void compute(Layer layer, LiveSums live, List<Long> regions, Map<Long, Integer> summed)
      throws IOException {
    space.requireBeside(
        "the checksums of layer " + layer.id, (long) regions.size() * LiveFile.SUMS_BYTES);
    LiveFile file = live.fileForSums();
    for (long region : regions) {
      if (ending.getAsBoolean()) {
        break;
      }
      try {
        LayerSums.sumPage(layer, region, sums.clear().put(NO_SUMS).clear(), buffer);
      } catch (IOException e) {
        LOG.log(Level.WARNING, "cannot read all of layer " + layer.id + " for its checksums", e);
        continue;
      }
      summed.put(region, file.writeSums(region, sums));
    }
    file.sync();
  }

  private static void beginPublishing(LiveSums live, Progress of, Map<Long, Integer> summed) {
    for (long region : summed.keySet()) {
      if (live.states().get(region) == RegionStates.SUMMING) {
        live.states().set(region, RegionStates.PUBLISHING);
      }
    }
    if (of.returning) {
      live.beginReturning();
      of.returning = false;
    }
  }
}
