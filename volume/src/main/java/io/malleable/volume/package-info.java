/**
 * What a store of boot drives does, whichever it is. Start reading at {@link
 * io.malleable.volume.VolumeStore}, whose Javadoc is the contract; {@code VolumeStoreContract}, a
 * test, checks every store against it.
 *
 * <ul>
 *   <li>A {@link io.malleable.volume.Volume} is an open handle: reads, writes, flushes.
 *   <li>A {@link io.malleable.volume.VolumeException} has a reason that callers act upon; any other
 *       {@link java.io.IOException} means that the storage below failed.
 *   <li>{@link io.malleable.volume.TransferProgress} watches and ends what takes long.
 * </ul>
 *
 * <p>The stores: {@code volume.local}, a directory of this computer, and {@code volume.rbd}, a Ceph
 * pool. {@code volume.imagefile} brings image files in and out of either, by this contract alone.
 * {@code volume.posix} has the calls of Linux that Java lacks. Nothing here knows any of them.
 *
 * <p>All methods may be called from any thread; a store has threads of its own only as its package
 * says.
 */
@NullMarked
package io.malleable.volume;

import org.jspecify.annotations.NullMarked;
