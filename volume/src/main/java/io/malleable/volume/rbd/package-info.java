/**
 * Volumes on Ceph RBD, by a thin binding of librados and librbd. Ceph's libraries are loaded when a
 * store is opened and not needed otherwise.
 */
@NullMarked
package io.malleable.volume.rbd;

import org.jspecify.annotations.NullMarked;
