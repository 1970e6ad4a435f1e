package io.malleable.volume.local;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.management.BufferPoolMXBean;
import java.lang.management.ManagementFactory;
import java.lang.management.MemoryMXBean;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.UUID;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * What a deep chain costs in memory when each of its layers has one block in every page of a volume
 * of 1 TiB, which is the most that so few blocks can cost: 1.6 % of the volume, 16 GiB.
 */
class ChainMemoryTest {
  private static final int DEPTH = 64;
  private static final int PAGES = 1 << (40 - BlockMap.BLOCK_SHIFT - BlockMap.PAGE_SHIFT);
  private static final long MIB = 1 << 20;

  /** The packs of the chain may take 8 MiB together: BlockMapTest, PackTest. */
  private static final long LIMIT_BYTES = (32 - 8) * MIB;

  @TempDir Path directory;

  @Test
  void everythingThatAnOpenChainKeepsIsLessThan32MiB() throws IOException, InterruptedException {
    LocalFiles files = new LocalFiles(directory);
    files.createDirectory(StoreLayout.LAYERS);
    files.createDirectory(StoreLayout.VOLUMES);
    Optional<UUID> parent = Optional.empty();
    for (int i = 0; i < DEPTH; i++) {
      UUID id = UUID.randomUUID();
      write(files, id, parent, new SplittableRandom(i));
      parent = Optional.of(id);
    }
    GuardedCatalogue guard =
        new GuardedCatalogue(
            files, Catalogue.load(files, MapMemory.unlimited(), StoreScan.Access.READ));

    long before = usedBytes();
    Layer top = guard.acquire(parent.orElseThrow());
    ChainView view = top.view();
    // All of the volume has been read once.
    assertEquals(DEPTH, view.layers().size());
    for (Layer layer : view.layers()) {
      assertNotNull(layer.sums());
      layer.map.forEachRun((first, count, state) -> layer.map.check(first));
    }
    for (long page = 0; page < PAGES; page++) {
      view.sourceOf(page * BlockMap.PAGE_BLOCKS);
    }
    long held = usedBytes() - before;
    // What was only needed to open the files is given back by another thread.
    for (int i = 0; i < 200 && held >= LIMIT_BYTES; i++) {
      Thread.sleep(20);
      held = usedBytes() - before;
    }
    assertEquals(PAGES, view.layers().getFirst().map.dataBlocks());
    guard.release(top);
    assertTrue(held < LIMIT_BYTES, "it needs " + held + " bytes");
  }

  /** A layer as it lies on disk; of its checksums only what is read when it is opened. */
  private static void write(
      LocalFiles files, UUID id, Optional<UUID> parent, SplittableRandom random)
      throws IOException {
    BlockMap map = new BlockMap();
    ByteBuffer index = ByteBuffer.allocate(PAGES * Long.BYTES + Formats.CRC_BYTES);
    for (long page = 0; page < PAGES; page++) {
      long block = page * BlockMap.PAGE_BLOCKS + random.nextInt(BlockMap.PAGE_BLOCKS);
      map.set(block, 1, BlockMap.DATA);
      index.putLong(page);
    }
    files.create(StoreLayout.data(id)).close();
    MapLog.write(files, id, parent, map);
    try (StoreFile file = files.create(StoreLayout.sums(id))) {
      ByteBuffer header = Formats.header(LayerSums.MAGIC, LayerSums.HEADER_BYTES);
      Formats.putId(header, Optional.of(id));
      header.putInt(PAGES);
      file.write(0, Formats.seal(header));
      file.write(LayerSums.HEADER_BYTES, Formats.seal(index));
      // The records are a hole.
      long recordBytes = BlockMap.PAGE_BLOCKS * Integer.BYTES;
      long endBytes = LayerSums.HEADER_BYTES + index.capacity() + PAGES * recordBytes;
      file.write(endBytes - 1, ByteBuffer.allocate(1));
    }
  }

  private static long usedBytes() {
    MemoryMXBean memory = ManagementFactory.getMemoryMXBean();
    memory.gc();
    long direct =
        ManagementFactory.getPlatformMXBeans(BufferPoolMXBean.class).stream()
            .mapToLong(BufferPoolMXBean::getMemoryUsed)
            .sum();
    return memory.getHeapMemoryUsage().getUsed() + direct;
  }
}
