/**
 * Volumes in a directory of this computer, as chains of copy-on-write layers. The files are
 * described in {@code docs/formats/local-volume-store.md}, the reasons in ADR 31. Start reading at
 * {@link io.malleable.volume.local.LocalVolumeStore}, which has one method for each call.
 *
 * <h2>Concepts</h2>
 *
 * <ul>
 *   <li>A <em>layer</em> ({@code Layer}, {@code LayerNode}) holds blocks of 4 KiB. Its {@code
 *       BlockMap} says of each block whether it has data, is zero, or is looked up in the layer
 *       below. Only the top layer of a disk changes; all others are frozen.
 *   <li>{@code MapLog} is the map on disk, written batch by batch; {@code MapTail} keeps what was
 *       acknowledged and is not in the log yet, so that it outlives the process.
 *   <li>A <em>chain</em> ({@code Chain}, {@code ChainView}) is what a volume reads from.
 *   <li>Checksums: {@code LayerSums} of frozen layers, {@code LiveSums} of those that change.
 *   <li>A {@code Pack} is a copy of several frozen layers in one file, so that deep chains are read
 *       as fast as flat ones.
 *   <li>All files are reached by {@code StoreFiles}, which tests replace to cut the power or fail
 *       the device at any call.
 * </ul>
 *
 * <h2>Way of a write</h2>
 *
 * {@code LocalVolume} (the handle), {@code ActiveVolume} (its gate), {@code LayerWriter} (places,
 * data, tail), and at a flush {@code LayerFlusher} (sync of the data, then of the map's batch).
 *
 * <h2>Threads</h2>
 *
 * Calls run on the threads of their callers. The store has its own: that of {@code Maintainer} runs
 * {@code Maintenance} (deletes, merges, packs, checksums); that of {@code DiskCare} looks after
 * disks in use and settles quiet ones, and a few beside it recover those that have failed.
 *
 * <h2>Locks, in the order in which they are taken</h2>
 *
 * <ol>
 *   <li>{@code Maintenance}: one run at a time.
 *   <li>{@code ActiveVolume.chainLock}: whoever changes what a disk in use stands on.
 *   <li>{@code GuardedCatalogue}: what volumes and layers there are, and which are open. Never held
 *       over I/O that grows with a volume.
 *   <li>A volume's gate ({@code ActiveVolume}): readers and writers share it; closed to swap what
 *       they read from.
 *   <li>{@code LayerFlusher.flushing}: one flush at a time; then {@code allocation}: places of new
 *       blocks. {@code LiveSums.marking}, beside them, is taken within the gate.
 * </ol>
 */
@NullMarked
package io.malleable.volume.local;

import org.jspecify.annotations.NullMarked;
