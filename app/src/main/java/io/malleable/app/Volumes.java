package io.malleable.app;

import io.malleable.volume.VolumeStore;
import io.malleable.volume.local.LocalVolumeStore;
import io.malleable.volume.rbd.RbdConfig;
import io.malleable.volume.rbd.RbdVolumeStore;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.UUID;

/** Opens the volume store that the settings ask for. */
final class Volumes {
  private Volumes() {}

  /** A local drive that takes longer for one request has failed. */
  private static final Duration LOCAL_IO_LIMIT = Duration.ofSeconds(25);

  static VolumeStore open(Settings settings, DataDirectory data)
      throws StartException, IOException {
    if (settings.rbd().isEmpty()) {
      Files.deleteIfExists(data.resolve(RbdNote.FILE));
      return LocalVolumeStore.open(
          data.resolve("volumes"), new LocalVolumeStore.Settings(settings.storeReserveBytes()));
    }
    Settings.Rbd rbd = settings.rbd().get();
    data.writePrivately(data.resolve(RbdNote.FILE), RbdNote.format(rbd));
    try {
      return RbdVolumeStore.open(config(rbd, instance(data)));
    } catch (IOException e) {
      throw new StartException(
          "the volume store on Ceph cannot be opened: " + e.getMessage(),
          "check the settings store-rbd-* and that the cluster answers; m2 doctor --data looks further",
          e);
    }
  }

  static RbdConfig config(Settings.Rbd rbd, UUID instance) {
    return new RbdConfig(rbd.conf(), rbd.user(), rbd.pool(), rbd.timeout(), instance);
  }

  /** Within this a request on an open volume ends. */
  static Duration ioLimit(Settings settings) {
    return settings
        .rbd()
        .map(rbd -> config(rbd, new UUID(0, 0)).callLimit())
        .orElse(LOCAL_IO_LIMIT);
  }

  /** By this a server knows its own locks again after it died with them. */
  private static UUID instance(DataDirectory data) throws IOException {
    Path file = data.resolve("instance-id");
    try {
      return UUID.fromString(Files.readString(file).strip());
    } catch (NoSuchFileException e) {
      UUID id = UUID.randomUUID();
      data.writePrivately(file, id + "\n");
      return id;
    }
  }
}
