package io.malleable.control;

import io.malleable.volume.VolumeStore;
import java.io.IOException;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CountDownLatch;
import org.jspecify.annotations.Nullable;

/** Makes empty images; a file named {@code broken} turns out so half-way. */
final class FakeImports implements ImageImports {
  private final VolumeStore volumes;
  volatile long sizeBytes = 1 << 20;

  /** While set, an import has begun and waits until it is cancelled. */
  volatile @Nullable CountDownLatch hangsAfter;

  FakeImports(VolumeStore volumes) {
    this.volumes = volumes;
  }

  @Override
  public void check(ImageSource source, Optional<String> format) {
    if (source.description().contains("missing")) {
      throw ControlException.ofField(
          ErrorCode.IMAGE_SOURCE_MISSING, "source", source.description(), "no such file", "look");
    }
  }

  @Override
  public ImageFacts importInto(
      UUID volume, ImageSource source, ImageExpectation expected, ImportProgress progress)
      throws IOException {
    volumes.create(volume, sizeBytes);
    progress.onProgress(0.5);
    CountDownLatch begun = hangsAfter;
    if (begun != null) {
      begun.countDown();
      while (!progress.isCancelled()) {
        Thread.onSpinWait();
      }
      throw new IOException("cancelled");
    }
    if (source.description().contains("broken")) {
      throw ControlException.of(ErrorCode.IMAGE_INVALID, "truncated at byte 4096");
    }
    volumes.seal(volume);
    return new ImageFacts(sizeBytes, expected.format().orElse("raw"), "0".repeat(64));
  }
}
