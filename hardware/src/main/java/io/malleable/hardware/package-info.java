@NullMarked
package io.malleable.hardware;

import org.jspecify.annotations.NullMarked;
