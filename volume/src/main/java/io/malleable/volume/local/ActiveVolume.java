package io.malleable.volume.local;

import io.malleable.volume.Volume;
import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeException.Reason;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.UUID;
import java.util.concurrent.locks.ReentrantLock;
import java.util.concurrent.locks.StampedLock;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/**
 * A volume in use: what a handle, a snapshot and a flatten of the same volume share.
 *
 * <p>Every read and write holds the gate for reading. A snapshot closes the gate only to put a new
 * layer on top; so each write is wholly below or wholly above. Until the volume's record on disk
 * names the new layer, the switch is <em>unsettled</em>: any flush settles it first, because what
 * it promises about the new layer would otherwise not be found after a power cut. (That only the
 * process dies is cared for by {@link MapTail#announce}.)
 */
final class ActiveVolume {
  private final UUID id;
  private final StoreFiles files;
  private final SpaceGuard space;
  private final StampedLock gate = new StampedLock();
  private final ReentrantLock chainLock = new ReentrantLock();
  private final ReentrantLock settling = new ReentrantLock();
  private volatile State state;
  private volatile @Nullable Switch unsettled;

  /** Frozen layers that a process which died may have left partly in the page cache. */
  private volatile List<Layer> left = List.of();

  /** One at a time: there is one intent for each volume. */
  private final ReentrantLock atomicWrites = new ReentrantLock();

  /** An intent that could not be forgotten; until it is, a replay could undo later writes. */
  private volatile boolean intentLeft;

  // Guarded by the catalogue's lock.
  private int users;
  private boolean handleOpen;
  private int maintainers;
  private boolean owesRecord;

  private volatile boolean wantedByOthers;

  /** The writer is absent when the volume is sealed. */
  private record State(Chain chain, Layer nearest, @Nullable LayerWriter writer) {}

  /**
   * A change of the top layer whose record is not published.
   *
   * @param frozen what was on top, if it was written to by this process
   */
  private record Switch(@Nullable LayerWriter frozen, VolumeRecord record) {}

  ActiveVolume(
      VolumeRecord volume, Layer layer, StoreFiles files, SpaceGuard space, boolean intentLeft)
      throws IOException {
    this.id = volume.id();
    this.intentLeft = intentLeft;
    this.files = files;
    this.space = space;
    this.state =
        volume.sealed()
            ? new State(new Chain(volume.sizeBytes(), null, layer.view()), layer, null)
            : writable(volume.sizeBytes(), writerTo(layer));
    if (!volume.sealed()) {
      this.left = leftBelow(layer);
    }
  }

  private LayerWriter writerTo(Layer layer) throws IOException {
    return LayerWriter.ofDisk(id, layer, files, space);
  }

  private static List<Layer> leftBelow(Layer top) {
    List<Layer> found = new ArrayList<>();
    for (Layer layer = top.parent(); layer != null; layer = layer.parent()) {
      LayerFlusher flusher = layer.flusher();
      if (flusher != null && flusher.isLeft()) {
        found.add(layer);
      }
    }
    return found;
  }

  private static State writable(long sizeBytes, LayerWriter writer) {
    Layer layer = writer.layer();
    return new State(writableChain(sizeBytes, layer), layer, writer);
  }

  private static Chain writableChain(long sizeBytes, Layer layer) {
    Layer parent = layer.parent();
    return new Chain(sizeBytes, layer, parent == null ? null : parent.view());
  }

  UUID id() {
    return id;
  }

  /**
   * Whoever changes what a disk in use stands on, or its record, holds this from the first step,
   * which may take long, to the last: snapshots, the end of a flatten, the end of a merge into its
   * layer, and resizing take turns. It is taken before the catalogue's lock.
   */
  ReentrantLock chainLock() {
    return chainLock;
  }

  /** The layer nearest to the volume; changes only under the chain's and the catalogue's lock. */
  Layer nearest() {
    return state.nearest;
  }

  boolean sealed() {
    return state.writer == null;
  }

  long sizeBytes() {
    return state.chain.sizeBytes();
  }

  void read(long offsetBytes, ByteBuffer destination) throws IOException {
    long stamp = gate.readLock();
    try {
      Chain chain = state.chain;
      chain.requireRange(offsetBytes, destination.remaining());
      chain.read(offsetBytes, destination);
    } finally {
      gate.unlockRead(stamp);
    }
  }

  void writeAtomically(long offsetBytes, ByteBuffer source) throws IOException {
    if (source.remaining() > WriteIntent.MAX_BYTES) {
      throw new IllegalArgumentException(
          "an atomic write of %d bytes; %d are the most"
              .formatted(source.remaining(), WriteIntent.MAX_BYTES));
    }
    atomicWrites.lock();
    try {
      // What is refused is refused before anything is kept.
      writerOf(state);
      state.chain.requireRange(offsetBytes, source.remaining());
      forgetIntent();
      intentLeft = true;
      WriteIntent.publish(files, id, offsetBytes, source);
      put(offsetBytes, source);
      flush();
      forgetIntent();
    } finally {
      atomicWrites.unlock();
    }
  }

  private void forgetIntent() throws IOException {
    atomicWrites.lock();
    try {
      if (intentLeft) {
        WriteIntent.forget(files, id);
        intentLeft = false;
      }
    } finally {
      atomicWrites.unlock();
    }
  }

  void write(long offsetBytes, ByteBuffer source) throws IOException {
    if (intentLeft) {
      forgetIntent();
    }
    put(offsetBytes, source);
  }

  private void put(long offsetBytes, ByteBuffer source) throws IOException {
    boolean flushNow;
    long stamp = gate.readLock();
    try {
      State now = state;
      now.chain.requireRange(offsetBytes, source.remaining());
      LayerWriter writer = writerOf(now);
      flushNow = source.hasRemaining() && writer.write(offsetBytes, source, now.chain);
    } finally {
      gate.unlockRead(stamp);
    }
    if (flushNow) {
      flush();
    }
  }

  void zero(long offsetBytes, long lengthBytes) throws IOException {
    if (intentLeft) {
      forgetIntent();
    }
    boolean flushNow;
    long stamp = gate.readLock();
    try {
      State now = state;
      now.chain.requireRange(offsetBytes, lengthBytes);
      LayerWriter writer = writerOf(now);
      flushNow = lengthBytes > 0 && writer.zero(offsetBytes, lengthBytes, now.chain);
    } finally {
      gate.unlockRead(stamp);
    }
    if (flushNow) {
      flush();
    }
  }

  Volume.Extent extentAt(long offsetBytes) {
    long stamp = gate.readLock();
    try {
      Chain chain = state.chain;
      Objects.checkIndex(offsetBytes, chain.sizeBytes());
      return chain.extentAt(offsetBytes);
    } finally {
      gate.unlockRead(stamp);
    }
  }

  /**
   * Copies what is inherited into the layer of the writer; through the gate, as maintenance may
   * take layers and packs out of the chain meanwhile.
   *
   * @return false, and nothing done, when a snapshot has frozen that layer
   */
  boolean copyUp(LayerWriter writer, long firstBlock, ByteBuffer buffer) throws IOException {
    return whileWriting(writer, () -> writer.copyUp(firstBlock, buffer, state.chain));
  }

  /** A step of a long change of the writer's layer; as {@link #copyUp}. */
  boolean whileWriting(LayerWriter writer, LayerWriter.Step step) throws IOException {
    long stamp = gate.readLock();
    try {
      if (state.writer != writer) {
        return false;
      }
      step.run();
      return true;
    } finally {
      gate.unlockRead(stamp);
    }
  }

  void flush() throws IOException {
    // The order matters: a writer that a snapshot freezes after this line has all that was written
    // before the call; one that was frozen before it shows up as unsettled.
    LayerWriter writer = state.writer;
    settle();
    if (writer != null) {
      writer.flush();
    }
  }

  private LayerWriter writerOf(State now) throws VolumeException {
    LayerWriter writer = now.writer;
    if (writer == null) {
      throw new VolumeException(
          Reason.SEALED, "volume " + id + " is sealed; write to a clone of it");
    }
    return writer;
  }

  /**
   * Finishes what lies below the top layer: what a process that died left there, and a switch of
   * layers that an error or such a death interrupted. Takes as long as all of that takes to be
   * durable, so never under the catalogue's lock.
   */
  void settle() throws IOException {
    if (unsettled == null && left.isEmpty()) {
      return;
    }
    settling.lock();
    try {
      for (Layer layer : left) {
        layer.settle();
      }
      left = List.of();
      Switch open = unsettled;
      if (open != null) {
        if (open.frozen != null) {
          open.frozen.flush();
        }
        open.record.publish(files);
        unsettled = null;
        if (open.frozen != null) {
          open.frozen.flusher().retire();
        }
      }
    } finally {
      settling.unlock();
    }
  }

  /** For a disk that nobody has written to for a while: makes all durable, and says so on disk. */
  void settleIfQuiet() throws IOException {
    LayerWriter writer = healthyWriter();
    if (writer == null || writer.takeTouched()) {
      return;
    }
    flush();
    writer.flusher().seal();
    whileIdle(writer, writer.flusher()::unmarkIfDurable);
  }

  /** The writer of a disk of which everything can be made durable. */
  @Nullable LayerWriter healthyWriter() {
    return failure() == null ? state.writer : null;
  }

  /**
   * Lets reads and writes under way end, and does something before others begin.
   *
   * @return false, and nothing done, when the writer is not the disk's any more
   */
  boolean whileIdle(LayerWriter writer, LayerWriter.Step action) throws IOException {
    long stamp = gate.writeLock();
    try {
      if (state.writer != writer) {
        return false;
      }
      action.run();
      return true;
    } finally {
      gate.unlockWrite(stamp);
    }
  }

  /** Why nothing of the disk can be made durable, in its top layer or below, if that is so. */
  Layer.@Nullable Failure failure() {
    LayerWriter writer = state.writer;
    if (writer == null) {
      return null;
    }
    Layer.Failure failure = writer.layer().failure();
    Switch open = unsettled;
    if (failure == null && open != null && open.frozen != null) {
      failure = open.frozen.layer().failure();
    }
    for (Layer layer : left) {
      failure = failure == null ? layer.failure() : failure;
    }
    return failure;
  }

  /** See {@link LayerFlusher#recover}. */
  void recover(BooleanSupplier stop) throws IOException {
    LayerWriter writer = state.writer;
    if (writer == null) {
      return;
    }
    for (Layer layer : left) {
      LayerFlusher flusher = layer.flusher();
      if (flusher != null) {
        flusher.recover(stop);
      }
    }
    // Writes that were let in before the failure end; later ones are refused.
    gate.unlockWrite(gate.writeLock());
    Switch open = unsettled;
    if (open != null && open.frozen != null) {
      open.frozen.flusher().recover(stop);
    }
    writer.flusher().recover(stop);
  }

  // The rest is called under the catalogue's lock, but for what says otherwise.

  /**
   * A writer to an empty layer that is to be put on top. What it writes outlives the process,
   * though no record names the layer yet.
   */
  LayerWriter prepare(Layer top) throws IOException {
    LayerWriter writer = writerTo(top);
    writer.flusher().announce();
    return writer;
  }

  /** Freezes the present top layer, under an empty one that stands on it. */
  void putOnTop(LayerWriter top, VolumeRecord record) throws IOException {
    LayerWriter frozen = writerOf(state);
    long stamp = gate.writeLock();
    try {
      unsettled = new Switch(frozen, record);
      owesRecord = true;
      // Within the gate: the view of what is frozen is made for the size that its map has.
      state = writable(record.sizeBytes(), top);
    } finally {
      gate.unlockWrite(stamp);
    }
  }

  /** Its record on disk may be another one: it is published before anything is promised. */
  void oweRecord(VolumeRecord record) {
    unsettled = new Switch(null, record);
    owesRecord = true;
  }

  /** Whether it owed its record, which is published now; true once. */
  boolean takePaidRecord() {
    boolean paid = owesRecord && unsettled == null;
    owesRecord &= !paid;
    return paid;
  }

  void resize(long sizeBytes) {
    long stamp = gate.writeLock();
    try {
      State now = state;
      state =
          new State(
              new Chain(sizeBytes, now.chain.top(), now.chain.below()), now.nearest, now.writer);
    } finally {
      gate.unlockWrite(stamp);
    }
  }

  /** What lies below the layers has changed its form, never its content. */
  void rebase() {
    long stamp = gate.writeLock();
    try {
      State now = state;
      long size = now.chain.sizeBytes();
      Chain chain =
          now.writer == null
              ? new Chain(size, null, now.nearest.view())
              : writableChain(size, now.nearest);
      state = new State(chain, now.nearest, now.writer);
    } finally {
      gate.unlockWrite(stamp);
    }
  }

  LayerWriter writer() throws VolumeException {
    return writerOf(state);
  }

  Chain chain() {
    return state.chain;
  }

  /** Whether the intent of an atomic write that failed may still be there. */
  boolean intentLeft() {
    return intentLeft;
  }

  int addUser() {
    return ++users;
  }

  int removeUser() {
    return --users;
  }

  /** Whether nobody but background maintenance uses it. */
  boolean onlyMaintained() {
    return maintainers > 0 && maintainers == users;
  }

  void addMaintainer() {
    if (maintainers++ == 0) {
      wantedByOthers = false;
    }
  }

  void removeMaintainer() {
    maintainers--;
  }

  /** Asks maintenance to let go soon. */
  void want() {
    wantedByOthers = true;
  }

  boolean wantedByOthers() {
    return wantedByOthers;
  }

  boolean handleOpen() {
    return handleOpen;
  }

  void setHandleOpen(boolean open) {
    handleOpen = open;
  }
}
