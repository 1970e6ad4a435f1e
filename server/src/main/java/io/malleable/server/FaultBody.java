package io.malleable.server;

import io.malleable.control.Measure;
import io.malleable.volume.VolumeFault;
import java.time.Instant;
import org.jspecify.annotations.Nullable;

/**
 * Why a volume takes no writes, on the wire.
 *
 * @param recoveredPercent absent while it does not recover
 */
record FaultBody(String cause, Instant since, @Nullable Integer recoveredPercent) {
  /** What is known to have failed; null is nothing. */
  static @Nullable FaultBody of(Measure measure) {
    return measure.fault().map(FaultBody::of).orElse(null);
  }

  private static FaultBody of(VolumeFault fault) {
    return new FaultBody(
        fault.cause(),
        fault.since(),
        fault.recoveredPercent().isPresent() ? fault.recoveredPercent().getAsInt() : null);
  }
}
