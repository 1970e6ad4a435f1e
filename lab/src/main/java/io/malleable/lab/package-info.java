@NullMarked
package io.malleable.lab;

import org.jspecify.annotations.NullMarked;
