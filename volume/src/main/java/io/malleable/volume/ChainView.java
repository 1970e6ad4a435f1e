package io.malleable.volume;

import java.lang.invoke.VarHandle;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * Where each block of a chain of frozen layers comes from, so that a read costs the same at any
 * depth. Per page of the block map: the one layer that has something to say there, or a table with
 * one byte per block. Built page by page at the first read; readers need no lock, and two that
 * build the same page build equal ones.
 */
final class ChainView {
  private static final int MAX_TABLE_LAYERS = 255;
  private static final byte NOWHERE = (byte) MAX_TABLE_LAYERS;
  private static final int CHUNK_SHIFT = 8;
  private static final int CHUNK_MASK = (1 << CHUNK_SHIFT) - 1;
  private static final int PAGE_MASK = BlockMap.PAGE_BLOCKS - 1;

  /** 8 MiB of tables, for 32 GiB in which layers overlap; the rest is looked up step by step. */
  private static final int MAX_TABLES = 2048;

  private static final Source EMPTY = new Source(null, null);

  /** Nearest first. */
  private final Layer[] layers;

  private final Source[] single;
  private final AtomicInteger tablesLeft = new AtomicInteger(MAX_TABLES);
  private final @Nullable Source[] @Nullable [] chunks;

  /** What answers for one page: nobody, one layer, or a table. */
  private static final class Source {
    final @Nullable Layer layer;
    final byte @Nullable [] table;

    Source(@Nullable Layer layer, byte @Nullable [] table) {
      this.layer = layer;
      this.table = table;
    }
  }

  ChainView(Layer top) {
    List<Layer> chain = new ArrayList<>();
    for (Layer layer = top; layer != null; layer = layer.parent()) {
      chain.add(layer);
    }
    layers = chain.toArray(Layer[]::new);
    single = Arrays.stream(layers).map(layer -> new Source(layer, null)).toArray(Source[]::new);
    long pages = 0;
    for (Layer layer : layers) {
      pages = Math.max(pages, layer.map.pageLimit());
    }
    chunks = new Source[Math.toIntExact(pages >>> CHUNK_SHIFT)][];
  }

  int depth() {
    return layers.length;
  }

  boolean isNearest(Layer layer) {
    return layers[0] == layer;
  }

  boolean contains(Layer layer) {
    return Arrays.asList(layers).contains(layer);
  }

  /** The layer that holds the block's data, or null when it is zero. */
  @Nullable Layer sourceOf(long block) {
    if (layers.length == 1) {
      return layers[0].map.stateOf(block) == BlockMap.DATA ? layers[0] : null;
    }
    Source source = source(block >>> BlockMap.PAGE_SHIFT);
    if (source == null) {
      return walk(block);
    }
    byte[] table = source.table;
    if (table != null) {
      byte index = table[(int) block & PAGE_MASK];
      return index == NOWHERE ? null : layers[index & 0xff];
    }
    Layer layer = source.layer;
    return layer != null && layer.map.stateOf(block) == BlockMap.DATA ? layer : null;
  }

  /** Whether one answer, {@link #sourceOf} of any of its blocks, holds for the whole page. */
  boolean uniform(long pageIndex) {
    for (Layer layer : layers) {
      BlockMap.Page page = layer.map.page(pageIndex);
      if (page != null) {
        return page.uniform();
      }
    }
    return true;
  }

  private @Nullable Layer walk(long block) {
    for (Layer layer : layers) {
      int state = layer.map.stateOf(block);
      if (state != BlockMap.ABSENT) {
        return state == BlockMap.DATA ? layer : null;
      }
    }
    return null;
  }

  /** Null when there is no room to remember the answer. */
  private @Nullable Source source(long pageIndex) {
    long chunkIndex = pageIndex >>> CHUNK_SHIFT;
    if (chunkIndex >= chunks.length) {
      return EMPTY;
    }
    @Nullable Source[] chunk = chunks[(int) chunkIndex];
    if (chunk == null) {
      chunk = new Source[1 << CHUNK_SHIFT];
      VarHandle.releaseFence();
      chunks[(int) chunkIndex] = chunk;
    }
    Source source = chunk[(int) pageIndex & CHUNK_MASK];
    if (source == null) {
      source = resolve(pageIndex);
      if (source != null) {
        VarHandle.releaseFence();
        chunk[(int) pageIndex & CHUNK_MASK] = source;
      }
    }
    return source;
  }

  private @Nullable Source resolve(long pageIndex) {
    Source found = EMPTY;
    int speaking = 0;
    for (int i = 0; i < layers.length; i++) {
      BlockMap.Page page = layers[i].map.page(pageIndex);
      if (page != null) {
        speaking++;
        if (speaking == 1) {
          found = single[i];
        }
        if (page.uniform()) {
          break;
        }
      }
    }
    if (speaking <= 1) {
      return found;
    }
    if (layers.length > MAX_TABLE_LAYERS || tablesLeft.getAndUpdate(n -> Math.max(0, n - 1)) == 0) {
      return null;
    }
    return new Source(null, table(pageIndex));
  }

  private byte[] table(long pageIndex) {
    byte[] table = new byte[BlockMap.PAGE_BLOCKS];
    Arrays.fill(table, NOWHERE);
    for (int i = layers.length - 1; i >= 0; i--) {
      BlockMap.Page page = layers[i].map.page(pageIndex);
      if (page == null) {
        continue;
      }
      for (int block = 0; block < table.length; block++) {
        int state = page.stateOf(block);
        if (state != BlockMap.ABSENT) {
          table[block] = state == BlockMap.DATA ? (byte) i : NOWHERE;
        }
      }
    }
    return table;
  }
}
