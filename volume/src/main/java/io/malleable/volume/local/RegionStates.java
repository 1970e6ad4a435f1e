package io.malleable.volume.local;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.Arrays;

/**
 * What {@link LiveSums} knows of each region of a layer, a byte for each. Writers only {@linkplain
 * #set set} a region {@link #TOUCHED}; who changes states otherwise is said there.
 */
final class RegionStates {
  // Up to SUMMING a region is in flux on disk, durably, or has no entry there.

  /** Written to since the last sweep, or never: what a write finds that has nothing to do. */
  static final byte TOUCHED = 0;

  static final byte UNTOUCHED = 1;

  /** Untouched for the quiet time: to be summed. */
  static final byte RIPE = 2;

  /** Being summed; void when a write touches it. */
  static final byte SUMMING = 3;

  /** Nobody has changed it since it was summed; whether it is quiet on disk is not known. */
  static final byte PUBLISHING = 4;

  static final byte QUIET = 5;

  /** In flux on disk, and yet as its checksums say: marked together with one that was written. */
  static final byte LENT = 6;

  /** Found in flux, which need not be durable. */
  static final byte UNSURE = 7;

  private static final VarHandle ELEMENT = MethodHandles.arrayElementVarHandle(byte[].class);
  private static final int GROUP_SHIFT = LiveFile.GROUP_SHIFT;
  private static final int MASK = LiveFile.GROUP_REGIONS - 1;

  /** Of regions that nobody has looked at yet: all touched. Never written to. */
  private static final byte[] NEW = new byte[LiveFile.GROUP_REGIONS];

  /** Replaced when it grows. */
  private volatile byte[][] groups = new byte[0][];

  /** Behind the last that is known; all others are touched. */
  long end() {
    return (long) groups.length << GROUP_SHIFT;
  }

  /** A read of two arrays, on the way of every write. */
  byte get(long region) {
    byte[][] all = groups;
    long group = region >>> GROUP_SHIFT;
    return group < all.length ? all[(int) group][(int) region & MASK] : TOUCHED;
  }

  /** Not before what the caller has read in the meantime. */
  byte getNow(long region) {
    byte[][] all = groups;
    long group = region >>> GROUP_SHIFT;
    return group < all.length
        ? (byte) ELEMENT.getVolatile(all[(int) group], (int) region & MASK)
        : TOUCHED;
  }

  /** Of a region before the {@link #end}, in a group that {@link #add} was called for. */
  void set(long region, byte state) {
    ELEMENT.setVolatile(groups[(int) (region >>> GROUP_SHIFT)], (int) region & MASK, state);
  }

  /** Regions of this group can be set from now on. */
  @SuppressWarnings("ReferenceEquality") // the one array that all groups share before they differ
  synchronized void add(long group) {
    int index = Math.toIntExact(group);
    byte[][] all = groups;
    if (index >= all.length) {
      all = Arrays.copyOf(all, index + 1);
      Arrays.fill(all, groups.length, all.length, NEW);
    }
    if (all[index] == NEW) {
      all[index] = new byte[LiveFile.GROUP_REGIONS];
    }
    groups = all;
  }

  /** Returns whether there was one. */
  boolean replaceAll(byte from, byte to) {
    boolean found = false;
    long end = end();
    for (long region = 0; region < end; region++) {
      if (get(region) == from) {
        set(region, to);
        found = true;
      }
    }
    return found;
  }

  /**
   * Regions that were not touched since the last call get older by one, as far as they have data.
   */
  void age(BlockMap map) {
    long end = map.pageLimit();
    for (long region = 0; region < end; region++) {
      byte state = get(region);
      if (state == TOUCHED && map.speaksOf(region)) {
        add(region >>> GROUP_SHIFT);
        set(region, UNTOUCHED);
      } else if (state == UNTOUCHED && map.hasData(region)) {
        set(region, RIPE);
      }
    }
  }

  /** The next one to be summed, from a region on; negative if there is none. */
  long takeRipe(long fromRegion) {
    long end = end();
    for (long region = fromRegion; region < end; region++) {
      if (get(region) == RIPE) {
        set(region, SUMMING);
        return region;
      }
    }
    return -1;
  }
}
