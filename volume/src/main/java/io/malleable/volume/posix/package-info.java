/** Calls of Linux that the JDK has no name for, for local files of any kind. */
@NullMarked
package io.malleable.volume.posix;

import org.jspecify.annotations.NullMarked;
