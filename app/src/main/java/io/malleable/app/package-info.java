@NullMarked
package io.malleable.app;

import org.jspecify.annotations.NullMarked;
