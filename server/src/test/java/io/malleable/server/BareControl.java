package io.malleable.server;

import io.malleable.control.Control;
import io.malleable.control.ControlSettings;
import io.malleable.control.Disk;
import io.malleable.control.ImageExpectation;
import io.malleable.control.ImageFacts;
import io.malleable.control.ImageImports;
import io.malleable.control.ImageSource;
import io.malleable.control.Measure;
import io.malleable.control.Node;
import io.malleable.control.Ports;
import io.malleable.control.Power;
import io.malleable.control.Project;
import io.malleable.control.Targets;
import io.malleable.control.db.SqliteDatabase;
import io.malleable.hardware.PowerDriver;
import io.malleable.volume.Capacity;
import io.malleable.volume.VolumeStore;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;

/** A control plane of nothing but a database and the store of a test. */
final class BareControl implements AutoCloseable {
  private final Path directory;
  private final SqliteDatabase database;
  private final Control control;

  private BareControl(Path directory, SqliteDatabase database, Control control) {
    this.directory = directory;
    this.database = database;
    this.control = control;
  }

  static BareControl open(Path directory, VolumeStore volumes) {
    SqliteDatabase database = SqliteDatabase.open(directory.resolve("m2.db"));
    Ports ports =
        new Ports(
            database,
            volumes,
            new NoTargets(),
            new NoPower(),
            new NoImports(),
            InstantSource.system());
    return new BareControl(
        directory,
        database,
        Control.open(ports, ControlSettings.defaults().withStorePatience(Duration.ofMinutes(1))));
  }

  Control control() {
    return control;
  }

  /** The row of a disk whose volume is there. */
  void insertDisk(UUID id, String name) {
    UUID project = control.projects().get(Project.DEFAULT).id();
    database.change(rows ->
        rows.disks()
            .insert(
                new Disk(
                    id,
                    project,
                    "",
                    name,
                    Disk.State.READY,
                    Instant.EPOCH,
                    1 << 20,
                    new Measure.Unknown(),
                    Optional.empty(),
                    new Disk.Use.Idle(),
                    Optional.empty(),
                    1)));
  }

  ApiPorts ports() {
    return new ApiPorts(
        control,
        new NoFacts(),
        host -> host,
        node -> Optional.empty(),
        (image, format) -> {
          throw new IllegalStateException("nobody calls it");
        },
        (image, firmware) -> {
          throw new IllegalStateException("nobody calls it");
        },
        directory,
        0,
        () -> true);
  }

  @Override
  public void close() {
    control.close();
    database.close();
  }

  private static final class NoTargets implements Targets {
    @Override
    public void define(Definition definition) {}

    @Override
    public Optional<String> withdraw(UUID disk) {
      return Optional.empty();
    }

    @Override
    public Set<UUID> defined() {
      return Set.of();
    }

    @Override
    public Use use(UUID disk) {
      return Use.NONE;
    }

    @Override
    public Optional<Reservations> reservations(UUID disk) {
      return Optional.empty();
    }

    @Override
    public void clearReservations(UUID disk) {}
  }

  private static final class NoPower implements Power {
    @Override
    public void checkAddress(String bmc) {}

    @Override
    public boolean isAutomatic(Node node) {
      return false;
    }

    @Override
    public PowerDriver driver(Node node) throws IOException {
      throw new IOException("there is no power driver here");
    }
  }

  private static final class NoImports implements ImageImports {
    @Override
    public void check(ImageSource source, Optional<String> format) {}

    @Override
    public ImageFacts importInto(
        UUID volume, ImageSource source, ImageExpectation expected, ImportProgress progress)
        throws IOException {
      throw new IOException("there are no images here");
    }
  }

  private static final class NoFacts implements ServerFacts {
    @Override
    public String version() {
      return "test";
    }

    @Override
    public Instant startedAt() {
      return Instant.EPOCH;
    }

    @Override
    public Path dataDirectory() {
      return Path.of("/");
    }

    @Override
    public Path labDirectory() {
      return Path.of("/");
    }

    @Override
    public String apiAddress() {
      return "";
    }

    @Override
    public String bootAddress() {
      return "";
    }

    @Override
    public String iscsiAddress() {
      return "";
    }

    @Override
    public Capacity capacity() {
      return new Capacity(0, 0, 0);
    }

    @Override
    public DescriptorFacts descriptors() {
      return new DescriptorFacts(0, 1, Optional.empty(), List.of());
    }

    @Override
    public Optional<StoreFullFacts> storeFull() {
      return Optional.empty();
    }

    @Override
    public BootFacts boots() {
      return new BootFacts(0, 0, 0, 0);
    }

    @Override
    public TargetFacts target() {
      return new TargetFacts(0, 0, 0, 0, 0);
    }
  }
}
