@NullMarked
package io.malleable.iscsi;

import org.jspecify.annotations.NullMarked;
