package io.malleable.volume.local;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.management.ManagementFactory;
import java.lang.management.MemoryMXBean;
import java.lang.ref.Reference;
import java.util.Arrays;
import java.util.IntSummaryStatistics;
import java.util.Random;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Supplier;
import org.junit.jupiter.api.Test;

class BlockMapTest {
  private static final long TEBIBYTE_BLOCKS = 1L << (40 - BlockMap.BLOCK_SHIFT);
  private static final long MIB = 1 << 20;

  /** Three pages before the end of a chunk, so that runs cross it. */
  private static final long FIRST_BLOCK = 2L * BlockChunk.BLOCKS - 3 * BlockMap.PAGE_BLOCKS;

  private static final long LIMIT_BYTES = 32 * MIB;

  @Test
  void itSaysWhatWasSetLastAndWhatWasCheckedCompactOrNot() {
    Random random = new Random();
    long seed = random.nextLong();
    random.setSeed(seed);
    BlockMap map = new BlockMap();
    int blocks = 6 * BlockMap.PAGE_BLOCKS;
    int[] expected = new int[blocks];
    boolean[] checked = new boolean[blocks];
    for (int i = 0; i < 6000; i++) {
      int from = random.nextInt(blocks);
      int most = random.nextInt(20) == 0 ? 2 * BlockMap.PAGE_BLOCKS : 12;
      int count = Math.min(blocks - from, 1 + random.nextInt(most));
      if (random.nextInt(3) == 0) {
        for (int block = from; block < from + count; block++) {
          map.check(FIRST_BLOCK + block);
          checked[block] |= expected[block] == BlockMap.DATA;
        }
      } else {
        int state = random.nextInt(3);
        map.set(FIRST_BLOCK + from, count, state);
        Arrays.fill(expected, from, from + count, state);
        Arrays.fill(checked, from, from + count, false);
      }
      if (random.nextInt(50) == 0) {
        map.compact();
      }
      if (random.nextInt(100) == 0) {
        assertSays(expected, checked, map, "seed " + seed);
      }
    }
    assertSays(expected, checked, map, "seed " + seed);
  }

  private static void assertSays(int[] expected, boolean[] checked, BlockMap map, String told) {
    int[] byRuns = new int[expected.length];
    map.forEachRun((first, count, state) -> {
      int from = (int) (first - FIRST_BLOCK);
      Arrays.fill(byRuns, from, from + (int) count, state);
    });
    assertArrayEquals(expected, byRuns, told);
    for (int block = 0; block < expected.length; block++) {
      String which = told + ", block " + block;
      assertEquals(expected[block], map.stateOf(FIRST_BLOCK + block), which);
      assertEquals(checked[block], map.checked(FIRST_BLOCK + block), which);
    }
    assertEquals(
        Arrays.stream(expected).filter(state -> state == BlockMap.DATA).count(),
        map.dataBlocks(),
        told);
    for (int page = 0; page < expected.length >> BlockMap.PAGE_SHIFT; page++) {
      int from = page << BlockMap.PAGE_SHIFT;
      IntSummaryStatistics states =
          Arrays.stream(expected, from, from + BlockMap.PAGE_BLOCKS).summaryStatistics();
      long pageIndex = (FIRST_BLOCK + from) >> BlockMap.PAGE_SHIFT;
      boolean empty = states.getMax() == BlockMap.ABSENT;
      assertTrue(empty || map.speaksOf(pageIndex), told + ", page " + page);
      assertTrue(
          states.getMin() == states.getMax() || !map.uniform(pageIndex), told + ", page " + page);
    }
  }

  /**
   * Every third block changes all the time, and pages take all their forms, while others read: what
   * does not change is what it was, one by one and in runs.
   */
  @Test
  void readersSeeWhatDoesNotChangeWhileTheRestChangesItsStateAndForm() throws Exception {
    int blocks = 3 * BlockMap.PAGE_BLOCKS;
    BlockMap map = new BlockMap();
    for (int block = 1; block < blocks; block += 3) {
      map.set(FIRST_BLOCK + block, 1, BlockMap.DATA);
      map.set(FIRST_BLOCK + block + 1, 1, BlockMap.ZERO);
    }
    AtomicBoolean done = new AtomicBoolean();
    try (ExecutorService threads = Executors.newFixedThreadPool(2)) {
      Future<?> reader = threads.submit(() -> readUntil(done, map, blocks));
      Future<?> checker =
          threads.submit(() -> {
            for (int i = 0; !done.get(); i = (i + 7) % blocks) {
              map.check(FIRST_BLOCK + i);
            }
          });
      try {
        change(map, blocks);
      } finally {
        done.set(true);
      }
      reader.get();
      checker.get();
    }
  }

  private static void change(BlockMap map, int blocks) {
    Random random = new Random(1);
    for (int round = 0; round < 40; round++) {
      int state = random.nextInt(3);
      for (int block = 0; block < blocks; block += 3 * (1 + random.nextInt(4))) {
        map.set(FIRST_BLOCK + block, 1, state);
      }
      map.compact();
    }
  }

  private static void readUntil(AtomicBoolean done, BlockMap map, int blocks) {
    while (!done.get()) {
      int[] byRuns = new int[blocks];
      map.forEachRun((first, count, state) -> {
        int from = (int) (first - FIRST_BLOCK);
        Arrays.fill(byRuns, from, from + (int) count, state);
      });
      for (int block = 0; block < blocks; block++) {
        if (block % 3 != 0) {
          assertEquals(block % 3, byRuns[block], "in runs, block " + block);
          assertEquals(block % 3, map.stateOf(FIRST_BLOCK + block), "block " + block);
        }
      }
    }
  }

  @Test
  void aPackMapNumbersDataBlocksInTheirOrder() {
    Random random = new Random();
    long seed = random.nextLong();
    random.setSeed(seed);
    BlockMap map = new BlockMap();
    for (int i = 0; i < 2000; i++) {
      long block = random.nextInt(3) * 70_000L + random.nextInt(9000);
      map.set(block, 1 + random.nextInt(3), random.nextInt(4) == 0 ? BlockMap.ZERO : BlockMap.DATA);
    }
    map.set(300_000, 2 * BlockMap.PAGE_BLOCKS, BlockMap.ZERO);
    RunList runs = new RunList();
    map.forEachRun(runs::add);
    PackMap pack = PackMap.of(runs);
    assertNotNull(pack);
    TreeMap<Long, Integer> slots = new TreeMap<>();
    map.forEachRun((first, count, state) -> {
      for (long block = first; state == BlockMap.DATA && block < first + count; block++) {
        slots.put(block, slots.size());
      }
    });
    assertEquals(slots.size(), pack.slots());
    for (long block = 0; block < 320_000; block++) {
      int expected =
          switch (map.stateOf(block)) {
            case BlockMap.DATA -> slots.getOrDefault(block, Integer.MIN_VALUE);
            case BlockMap.ZERO -> PackMap.ZERO;
            default -> PackMap.ABSENT;
          };
      assertEquals(expected, pack.slotOf(block), "seed " + seed + ", block " + block);
    }
  }

  private static long heldBytes(Supplier<Object> made) {
    MemoryMXBean memory = ManagementFactory.getMemoryMXBean();
    memory.gc();
    long before = memory.getHeapMemoryUsage().getUsed();
    Object held = made.get();
    try {
      memory.gc();
      return memory.getHeapMemoryUsage().getUsed() - before;
    } finally {
      Reference.reachabilityFence(held);
    }
  }

  private static BlockMap scattered(double share, long seed) {
    BlockMap map = new BlockMap();
    SplittableRandom random = new SplittableRandom(seed);
    for (long i = 0; i < (long) (TEBIBYTE_BLOCKS * share); i++) {
      map.set(random.nextLong(TEBIBYTE_BLOCKS), 1, BlockMap.DATA);
    }
    return map;
  }

  @Test
  void aTebibyteWrittenHereAndThereNeedsLessThan32MiB() {
    long held = heldBytes(() -> scattered(0.01, 1));
    assertTrue(held < LIMIT_BYTES / 2, "1 % at random needs " + held + " bytes");
    long full =
        heldBytes(() -> {
          BlockMap map = new BlockMap();
          map.set(0, TEBIBYTE_BLOCKS, BlockMap.DATA);
          return map;
        });
    assertTrue(full < MIB, "all of it needs " + full + " bytes");
  }

  @Test
  void theLargestPackNeedsLessThan8MiBHoweverItsBlocksLie() {
    BlockMap map = scattered((double) Pack.MAX_BLOCKS / TEBIBYTE_BLOCKS, 2);
    RunList runs = new RunList();
    map.forEachRun(runs::add);
    long held =
        heldBytes(() -> new Object[] {PackMap.of(runs), new long[Pack.MAX_BLOCKS / Long.SIZE]});
    assertTrue(held < 8 * MIB, "it needs " + held + " bytes");
  }
}
