@NullMarked
package io.malleable.volume;

import org.jspecify.annotations.NullMarked;
