/**
 * Looks inside drives, without mounting them, and says what would stop them from booting over the
 * network. A library of its own: it knows bytes, neither volumes nor servers.
 */
@NullMarked
package io.malleable.image;

import org.jspecify.annotations.NullMarked;
