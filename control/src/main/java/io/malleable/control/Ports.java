package io.malleable.control;

import io.malleable.volume.VolumeStore;
import java.time.InstantSource;

/** What the control plane stands on. */
public record Ports(
    Database database,
    VolumeStore volumes,
    Targets targets,
    Power power,
    ImageImports imports,
    InstantSource clock) {
  Ports withDatabase(Database other) {
    return new Ports(other, volumes, targets, power, imports, clock);
  }
}
