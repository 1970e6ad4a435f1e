/**
 * Image files, into a store and out of it.
 *
 * <p>{@link io.malleable.volume.imagefile.ImageImporter} looks at a file first, with {@code
 * ImageInspector}: what it is, how large its drive is, whether it needs another file. {@code
 * QemuImg} then converts what is not raw, within limits, and the bytes go into a new volume, holes
 * left out. {@link io.malleable.volume.imagefile.ExportedImage} goes the other way without a file
 * in between: raw, or qcow2 by {@code Qcow2Layout}, made while it is read.
 *
 * <p>Work is done on the threads of callers; only what {@code qemu-img} prints is read by threads
 * that end with it. Files come from strangers: what is wrong with one is an {@link
 * io.malleable.volume.imagefile.ImageException} that says what to do about it.
 */
@NullMarked
package io.malleable.volume.imagefile;

import org.jspecify.annotations.NullMarked;
