package io.malleable.volume;

import java.time.Instant;
import java.util.OptionalInt;

/**
 * Why a volume takes no writes, and how far its recovery is.
 *
 * @param cause what the storage said
 * @param since when it was found out
 * @param recoveredPercent 0 to 100 while what is in doubt is written once more; absent before that
 *     has begun, and after it failed
 */
public record VolumeFault(String cause, Instant since, OptionalInt recoveredPercent) {}
