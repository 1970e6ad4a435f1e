/**
 * Local files of any kind, and their file systems: calls of Linux that the JDK has no name for, and
 * questions that it answers badly.
 */
@NullMarked
package io.malleable.volume.posix;

import org.jspecify.annotations.NullMarked;
