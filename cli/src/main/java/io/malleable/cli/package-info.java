@NullMarked
package io.malleable.cli;

import org.jspecify.annotations.NullMarked;
