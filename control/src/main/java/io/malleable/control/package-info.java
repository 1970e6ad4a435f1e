@NullMarked
package io.malleable.control;

import org.jspecify.annotations.NullMarked;
