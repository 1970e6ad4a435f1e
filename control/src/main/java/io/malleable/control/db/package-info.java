/** Persistence of the control plane; the only package here that knows SQL. */
@NullMarked
package io.malleable.control.db;

import org.jspecify.annotations.NullMarked;
