package io.malleable.volume.local;

import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.lang.invoke.VarHandle;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * Where each block of a chain of frozen layers comes from, so that a read costs the same at any
 * depth. The sources are the layers, or packs in place of many of them. When there are more than a
 * few, per page of the block map: the one source that has something to say there, or a table with
 * one byte per block. Built page by page at the first read; readers need no lock, and two that
 * build the same page build equal ones.
 */
final class ChainView {
  private static final Logger LOG = System.getLogger(ChainView.class.getName());

  /**
   * So few layers, and the packs among them, are asked one after the other: the bits of a pack's
   * map are nearer at hand than the bytes of a table, which needs memory besides.
   */
  private static final int MAX_WALKED_LAYERS = 2;

  private static final int MAX_TABLE_SOURCES = 255;
  private static final byte NOWHERE = (byte) MAX_TABLE_SOURCES;
  private static final int CHUNK_SHIFT = 8;
  private static final int CHUNK_MASK = (1 << CHUNK_SHIFT) - 1;
  private static final int PAGE_MASK = BlockMap.PAGE_BLOCKS - 1;

  /** 8 MiB of tables, for 32 GiB in which layers overlap; the rest is looked up step by step. */
  private static final int MAX_TABLES = 2048;

  private static final Answer EMPTY = new Answer(null, null);

  /** Nearest first. */
  private final Layer[] layers;

  /** Nearest first. */
  private final BlockSource[] sources;

  private final List<Span> spans;
  private final boolean walked;
  private final Answer[] single;
  private final AtomicInteger tablesLeft = new AtomicInteger(MAX_TABLES);
  private final @Nullable Answer[] @Nullable [] chunks;

  /** What answers for one page: nobody, one source, or a table. */
  private static final class Answer {
    final @Nullable BlockSource source;
    final byte @Nullable [] table;

    Answer(@Nullable BlockSource source, byte @Nullable [] table) {
      this.source = source;
      this.table = table;
    }
  }

  ChainView(Layer top) {
    List<Layer> chain = new ArrayList<>();
    for (Layer layer = top; layer != null; layer = layer.parent()) {
      chain.add(layer);
    }
    layers = chain.toArray(Layer[]::new);
    spans = split();
    sources =
        spans.stream()
            .map(span -> span.pack == null ? layers[span.from] : new Packed(span.pack, span))
            .toArray(BlockSource[]::new);
    walked = spans.size() - packs().size() <= MAX_WALKED_LAYERS;
    single = Arrays.stream(sources).map(source -> new Answer(source, null)).toArray(Answer[]::new);
    long pages = 0;
    for (Layer layer : layers) {
      pages = Math.max(pages, layer.map.pageLimit());
    }
    chunks = new Answer[Math.toIntExact(pages >>> CHUNK_SHIFT)][];
  }

  /**
   * The layers that one source stands for: from {@code from} to {@code floor - 1}, counted from the
   * nearest.
   *
   * @param pack null when it is one layer by itself
   */
  record Span(int from, int floor, @Nullable Pack pack) {}

  /** From the nearest layer down, each pack that stands on one of the layers. */
  private List<Span> split() {
    List<Span> found = new ArrayList<>();
    for (int from = 0; from < layers.length; from = found.getLast().floor) {
      Pack pack = layers[from].pack();
      int floor = pack == null ? 0 : floorOf(pack, from);
      found.add(floor == 0 ? new Span(from, from + 1, null) : new Span(from, floor, pack));
    }
    return List.copyOf(found);
  }

  /** Zero when what the pack stood on no longer lies below its layer. */
  private int floorOf(Pack pack, int from) {
    for (int floor = from + 1; floor < layers.length; floor++) {
      if (layers[floor].id.equals(pack.floor())) {
        return floor;
      }
    }
    return 0;
  }

  /** A pack in place of the layers from which it was made. */
  private final class Packed extends BlockSource {
    private final Pack pack;
    private final PackMap map;
    private final Span span;
    private volatile boolean damageTold;

    Packed(Pack pack, Span span) {
      this.pack = pack;
      this.map = pack.map();
      this.span = span;
    }

    @Override
    int stateOf(long block) {
      int slot = map.slotOf(block);
      if (slot >= 0) {
        return BlockMap.DATA;
      }
      return slot == PackMap.ZERO ? BlockMap.ZERO : BlockMap.ABSENT;
    }

    @Override
    boolean speaksOf(long pageIndex) {
      return map.speaksOf(pageIndex);
    }

    @Override
    boolean uniform(long pageIndex) {
      return !map.speaksOf(pageIndex);
    }

    @Override
    void forEachRun(long firstBlock, long endBlock, BlockMap.RunConsumer consumer) {
      for (long block = firstBlock; block < endBlock; block++) {
        int state = stateOf(block);
        if (state != BlockMap.ABSENT) {
          consumer.run(block, 1, state);
        }
      }
    }

    @Override
    void read(long positionBytes, ByteBuffer destination) throws IOException {
      int start = destination.position();
      try {
        pack.read(positionBytes, destination);
      } catch (IOException e) {
        if (!damageTold) {
          LOG.log(Level.WARNING, "a pack is damaged or gone; its layers are read instead", e);
          damageTold = true;
        }
        readLayers(positionBytes, destination.position(start));
      }
    }

    private void readLayers(long positionBytes, ByteBuffer destination) throws IOException {
      int limit = destination.limit();
      int start = destination.position();
      for (int at = start; at < limit; at = destination.position()) {
        long position = positionBytes + at - start;
        long blockEnd = (position | (BlockMap.BLOCK_BYTES - 1)) + 1;
        destination.limit((int) Math.min(limit, at + blockEnd - position));
        layerWith(position >>> BlockMap.BLOCK_SHIFT).read(position, destination);
      }
    }

    private Layer layerWith(long block) {
      for (int i = span.from; i < span.floor; i++) {
        if (layers[i].stateOf(block) == BlockMap.DATA) {
          return layers[i];
        }
      }
      throw new IllegalStateException(
          "no layer has block %d, which the pack of layer %s has".formatted(block, pack.layer()));
    }
  }

  /** How many are asked for a block that nobody has. */
  int sourceCount() {
    return sources.length;
  }

  List<Layer> layers() {
    return List.of(layers);
  }

  /** What the sources stand for, nearest first. */
  List<Span> spans() {
    return spans;
  }

  /** Those that stand for some of the layers. */
  List<Pack> packs() {
    return spans.stream().map(Span::pack).filter(Objects::nonNull).toList();
  }

  /** Whether the block's data, if it has any, is the nearest layer's own. */
  boolean nearestHas(long block) {
    return layers[0].stateOf(block) == BlockMap.DATA;
  }

  boolean contains(Layer layer) {
    return Arrays.asList(layers).contains(layer);
  }

  /** What holds the block's data, or null when it is zero. */
  @Nullable BlockSource sourceOf(long block) {
    if (walked) {
      return walk(block);
    }
    Answer answer = answer(block >>> BlockMap.PAGE_SHIFT);
    if (answer == null) {
      return walk(block);
    }
    byte[] table = answer.table;
    if (table != null) {
      byte index = table[(int) block & PAGE_MASK];
      return index == NOWHERE ? null : sources[index & 0xff];
    }
    BlockSource source = answer.source;
    return source != null && source.stateOf(block) == BlockMap.DATA ? source : null;
  }

  /** Whether one answer, {@link #sourceOf} of any of its blocks, holds for the whole page. */
  boolean uniform(long pageIndex) {
    for (Layer layer : layers) {
      if (layer.speaksOf(pageIndex)) {
        return layer.uniform(pageIndex);
      }
    }
    return true;
  }

  private @Nullable BlockSource walk(long block) {
    for (BlockSource source : sources) {
      int state = source.stateOf(block);
      if (state != BlockMap.ABSENT) {
        return state == BlockMap.DATA ? source : null;
      }
    }
    return null;
  }

  /** Null when there is no room to remember the answer. */
  private @Nullable Answer answer(long pageIndex) {
    long chunkIndex = pageIndex >>> CHUNK_SHIFT;
    if (chunkIndex >= chunks.length) {
      return EMPTY;
    }
    @Nullable Answer[] chunk = chunks[(int) chunkIndex];
    if (chunk == null) {
      chunk = new Answer[1 << CHUNK_SHIFT];
      VarHandle.releaseFence();
      chunks[(int) chunkIndex] = chunk;
    }
    Answer answer = chunk[(int) pageIndex & CHUNK_MASK];
    if (answer == null) {
      answer = resolve(pageIndex);
      if (answer != null) {
        VarHandle.releaseFence();
        chunk[(int) pageIndex & CHUNK_MASK] = answer;
      }
    }
    return answer;
  }

  private @Nullable Answer resolve(long pageIndex) {
    Answer found = EMPTY;
    int speaking = 0;
    for (int i = 0; i < sources.length; i++) {
      if (sources[i].speaksOf(pageIndex)) {
        speaking++;
        if (speaking == 1) {
          found = single[i];
        }
        if (sources[i].uniform(pageIndex)) {
          break;
        }
      }
    }
    if (speaking <= 1) {
      return found;
    }
    if (sources.length > MAX_TABLE_SOURCES
        || tablesLeft.getAndUpdate(n -> Math.max(0, n - 1)) == 0) {
      return null;
    }
    return new Answer(null, table(pageIndex));
  }

  private byte[] table(long pageIndex) {
    byte[] table = new byte[BlockMap.PAGE_BLOCKS];
    Arrays.fill(table, NOWHERE);
    long firstBlock = pageIndex << BlockMap.PAGE_SHIFT;
    for (int i = sources.length - 1; i >= 0; i--) {
      byte index = (byte) i;
      sources[i].forEachRun(
          firstBlock,
          firstBlock + table.length,
          (first, count, state) -> {
            int from = (int) (first - firstBlock);
            byte source = state == BlockMap.DATA ? index : NOWHERE;
            Arrays.fill(table, from, from + (int) count, source);
          });
    }
    return table;
  }
}
