@NullMarked
package io.malleable.server;

import org.jspecify.annotations.NullMarked;
