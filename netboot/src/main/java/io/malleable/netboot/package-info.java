@NullMarked
package io.malleable.netboot;

import org.jspecify.annotations.NullMarked;
