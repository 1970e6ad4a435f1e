package io.malleable.app;

import io.malleable.image.BootCheck;
import io.malleable.image.BootFirmware;
import io.malleable.image.BootReport;
import io.malleable.image.DriveContent;
import io.malleable.server.ImageChecks;
import io.malleable.volume.Volume;
import io.malleable.volume.VolumeStore;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Optional;
import java.util.UUID;

/** Looks inside images where they lie: nothing is exported or copied for it. */
final class ImageChecksOnVolumes implements ImageChecks {
  private final VolumeStore volumes;

  ImageChecksOnVolumes(VolumeStore volumes) {
    this.volumes = volumes;
  }

  @Override
  public BootReport check(UUID image, Optional<BootFirmware> firmware) throws IOException {
    try (Volume volume = volumes.open(image)) {
      return BootCheck.check(
          new DriveContent() {
            @Override
            public long sizeBytes() {
              return volume.sizeBytes();
            }

            @Override
            public void read(long offsetBytes, ByteBuffer destination) throws IOException {
              volume.read(offsetBytes, destination);
            }
          },
          firmware);
    }
  }
}
