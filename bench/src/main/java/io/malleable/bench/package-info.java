@NullMarked
package io.malleable.bench;

import org.jspecify.annotations.NullMarked;
