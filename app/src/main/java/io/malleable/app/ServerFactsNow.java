package io.malleable.app;

import io.malleable.iscsi.IscsiServer;
import io.malleable.server.ServerFacts;
import io.malleable.volume.Capacity;
import io.malleable.volume.VolumeStore;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.Optional;

/** Reads the server's facts where they are. */
final class ServerFactsNow implements ServerFacts {
  private final Settings settings;
  private final Instant startedAt;
  private final VolumeStore volumes;
  private final TargetsOverIscsi targets;
  private final IscsiServer iscsi;
  private final BootDesk desk;
  private final HostPort bootAt;
  private final List<HostPort> portals;
  private final Descriptors descriptors;

  /** The configured address until the API listens; nobody can ask before. */
  private volatile HostPort httpAt;

  ServerFactsNow(
      Settings settings,
      Instant startedAt,
      VolumeStore volumes,
      TargetsOverIscsi targets,
      IscsiServer iscsi,
      BootDesk desk,
      HostPort bootAt,
      List<HostPort> portals,
      Descriptors descriptors) {
    this.settings = settings;
    this.startedAt = startedAt;
    this.volumes = volumes;
    this.targets = targets;
    this.iscsi = iscsi;
    this.desk = desk;
    this.bootAt = bootAt;
    this.portals = List.copyOf(portals);
    this.descriptors = descriptors;
    this.httpAt = settings.http();
  }

  void apiIsAt(HostPort at) {
    httpAt = at;
  }

  @Override
  public String version() {
    return M2Server.version();
  }

  @Override
  public Instant startedAt() {
    return startedAt;
  }

  @Override
  public Path dataDirectory() {
    return settings.data();
  }

  @Override
  public Path labDirectory() {
    return settings.lab();
  }

  @Override
  public String apiAddress() {
    return "http://" + httpAt;
  }

  @Override
  public String bootAddress() {
    return "http://" + bootAt;
  }

  @Override
  public String iscsiAddress() {
    return Addresses.joined(portals);
  }

  @Override
  public Capacity capacity() throws IOException {
    return volumes.capacity();
  }

  @Override
  public TargetFacts target() {
    return new TargetFacts(
        targets.defined().size(),
        iscsi.sessions().size(),
        targets.readBytes(),
        targets.writtenBytes(),
        targets.failedLogins());
  }

  @Override
  public DescriptorFacts descriptors() {
    return descriptors.facts();
  }

  @Override
  public Optional<StoreFullFacts> storeFull() {
    return FullStoreWatch.facts(iscsi.spaceRefusals(), Instant.now());
  }

  @Override
  public BootFacts boots() {
    return desk.counters();
  }
}
