package io.malleable.app;

import io.malleable.control.BootDeadlines;
import io.malleable.control.Control;
import io.malleable.control.ControlException;
import io.malleable.control.ControlSettings;
import io.malleable.control.Ports;
import io.malleable.control.SshKeys;
import io.malleable.control.Targets;
import io.malleable.control.db.SqliteDatabase;
import io.malleable.hardware.Credentials;
import io.malleable.hardware.CredentialsFile;
import io.malleable.hardware.HardwareSettings;
import io.malleable.hardware.PowerDrivers;
import io.malleable.iscsi.DirectoryReservationStore;
import io.malleable.iscsi.IscsiServer;
import io.malleable.iscsi.IscsiServerConfig;
import io.malleable.iscsi.LogicalUnit;
import io.malleable.iscsi.Portal;
import io.malleable.iscsi.PortalException;
import io.malleable.iscsi.ReservationStore;
import io.malleable.netboot.BootHttpConfig;
import io.malleable.netboot.BootHttpServer;
import io.malleable.netboot.LoaderDirectory;
import io.malleable.server.AccessToken;
import io.malleable.server.ApiPorts;
import io.malleable.server.ApiServer;
import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeStore;
import io.malleable.volume.imagefile.ExportedImage;
import io.malleable.volume.imagefile.ImageFormat;
import io.malleable.volume.imagefile.ImageImporter;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Function;
import java.util.function.UnaryOperator;

/**
 * All of one server, wired by hand.
 *
 * <p>The order of the start is what a running machine relies on: its target is defined before the
 * portal opens, or its session would be told that there is no such target and give up. Unfinished
 * operations go on only when machines and clients can reach everything again.
 */
final class M2Server implements AutoCloseable {
  /** How long sessions may take to log out when the server stops. */
  private static final Duration LOGOUT_GRACE = Duration.ofSeconds(5);

  private static final Duration BOOT_RETRY = Duration.ofSeconds(10);

  private final StopStack started;
  private final Addresses addresses;
  private final Control control;
  private final AtomicBoolean serving;
  private final String notice;

  private M2Server(
      StopStack started,
      Addresses addresses,
      Control control,
      AtomicBoolean serving,
      String notice) {
    this.notice = notice;
    this.started = started;
    this.control = control;
    this.addresses = addresses;
    this.serving = serving;
  }

  static M2Server start(Settings settings) throws StartException, IOException {
    return start(settings, UnaryOperator.identity());
  }

  /** The same on what is made of the volume store. */
  static M2Server start(Settings settings, UnaryOperator<VolumeStore> around)
      throws StartException, IOException {
    StopStack started = new StopStack();
    try {
      return new Start(settings, started, around).run();
    } catch (ControlException e) {
      started.close();
      throw new StartException(
          withoutDot(e.message()), withoutDot(e.hint().orElse("see the log for the cause")), e);
    } catch (VolumeException e) {
      started.close();
      throw new StartException(
          "the volume store cannot be opened: " + e.getMessage(),
          "see docs/formats for the versions that this program reads",
          e);
    } catch (StartException | IOException | RuntimeException e) {
      started.close();
      throw e;
    }
  }

  private static String withoutDot(String sentence) {
    return sentence.endsWith(".") ? sentence.substring(0, sentence.length() - 1) : sentence;
  }

  Addresses addresses() {
    return addresses;
  }

  Control control() {
    return control;
  }

  /** What the operator has to do elsewhere for this server; empty for nothing. */
  String notice() {
    return notice;
  }

  static String version() {
    String version = M2Server.class.getPackage().getImplementationVersion();
    return version == null ? "development" : version;
  }

  @Override
  public void close() {
    serving.set(false);
    started.close();
  }

  /** The steps of one start; each part is stopped in reverse order, also when a later one fails. */
  private static final class Start {
    private final Settings settings;
    private final StopStack started;
    private final UnaryOperator<VolumeStore> around;
    private final Descriptors descriptors;
    private final Instant startedAt = Instant.now();
    private final AtomicBoolean serving = new AtomicBoolean();
    private final TargetEvents targetEvents = new TargetEvents();
    private final BootOrigins origins = new BootOrigins();

    Start(Settings settings, StopStack started, UnaryOperator<VolumeStore> around)
        throws IOException {
      this.settings = settings;
      this.started = started;
      this.around = around;
      // Before anything takes some.
      this.descriptors = Descriptors.claim();
    }

    M2Server run() throws StartException, IOException {
      DataDirectory data = started.push("data directory", DataDirectory.open(settings.data()));
      AccessToken token = new AccessToken(data.adminToken());
      Files.createDirectories(settings.lab());
      VolumeStore volumes =
          around.apply(started.push("volume store", Volumes.open(settings, data)));
      ReservationStore reservations = new DirectoryReservationStore(data.resolve("reservations"));
      IscsiServer iscsi = target(reservations);
      TargetsOverIscsi targets =
          new TargetsOverIscsi(
              volumes, iscsi, reservations, identities(), Volumes.ioLimit(settings));
      PowerFromHardware power = new PowerFromHardware(new PowerDrivers(hardware(data)));
      ImageFiles images =
          new ImageFiles(
              new ImageImporter(volumes, data.resolve("staging"), settings.storeReserveBytes()),
              new Download(data.resolve("downloads"), settings.storeReserveBytes()));
      Control control = control(data, volumes, targets, power, images);
      targetEvents.connect(control.bootEvents(), targets::onFailedLogin);
      control.start();
      watch(control, iscsi);
      List<InetSocketAddress> bound = open(iscsi);
      List<HostPort> portals = named(bound);
      BootDesk desk = new BootDesk(control, MachinePortals.of(bound), origins);
      HostPort bootAt = settings.bootHttp().withPort(boot(desk));
      plainOrigin(bootAt);
      ServerFactsNow facts =
          new ServerFactsNow(
              settings, startedAt, volumes, targets, iscsi, desk, bootAt, portals, descriptors);
      ApiPorts ports =
          new ApiPorts(
              control,
              facts,
              new ReachablePortal(settings.advertise(), portals),
              power::console,
              (image, format) ->
                  ExportedImage.open(volumes, image, ImageFormat.ofLabel(format).orElseThrow()),
              new ImageChecksOnVolumes(volumes),
              data.resolve("uploads"),
              settings.storeReserveBytes(),
              serving::get);
      Segment segment = Segment.start(settings, control, desk, bootAt.port(), descriptors);
      started.push("segment", segment);
      ApiServer api = api(token, ports);
      HostPort httpAt = settings.http().withPort(api.port());
      facts.apiIsAt(httpAt);
      control.resume();
      Addresses addresses = new Addresses(httpAt, bootAt, portals);
      started.push("run file", RunFile.write(data, addresses));
      serving.set(true);
      return new M2Server(started, addresses, control, serving, segment.notice());
    }

    private void watch(Control control, IscsiServer iscsi) {
      DescriptorWatch files =
          new DescriptorWatch(
              descriptors::open, descriptors.budget().limit(), control.events()::report);
      started.push(
          "descriptor watch", Ticker.start("descriptor-watch", DescriptorWatch.PAUSE, files::look));
      FullStoreWatch space =
          new FullStoreWatch(
              iscsi::spaceRefusals,
              settings.storeFullBusy(),
              FullStoreWatch.Reports.to(control.events()),
              InstantSource.system());
      started.push(
          "full store watch", Ticker.start("full-store-watch", FullStoreWatch.PAUSE, space::look));
    }

    /** A second drive for each node: its name, and the keys of those who may log in. */
    private Function<Targets.Definition, Optional<LogicalUnit>> identities() throws StartException {
      List<String> ofAll =
          settings.sshKeys().isEmpty() ? List.of() : SshKeyFile.read(settings.sshKeys().get());
      return definition ->
          definition
              .identity()
              .map(who ->
                  IdentityUnit.of(
                      definition.disk(),
                      who.node().name(),
                      SshKeys.merged(ofAll, who.sshKeys()),
                      () ->
                          origins
                              .of(definition.disk())
                              .map(origin -> origin + "/phone-home/" + who.phoneHomeToken())));
    }

    private void plainOrigin(HostPort bootAt) throws StartException {
      InetAddress address = resolve(Setting.BOOT_HTTP, bootAt).getAddress();
      if (settings.advertise().isPresent()) {
        origins.otherwise("http://" + new HostPort(settings.advertise().get(), bootAt.port()));
      } else if (!address.isAnyLocalAddress() && !address.isLoopbackAddress()) {
        origins.otherwise("http://" + bootAt);
      }
    }

    private HardwareSettings hardware(DataDirectory data) {
      Credentials credentials =
          new CredentialsFile(settings.bmcCredentials().orElse(data.resolve("bmc-credentials")));
      return new HardwareSettings(
          settings.lab(),
          credentials,
          settings.qemuUser().orElse(null),
          settings.bmcCertificates().orElse(null));
    }

    private IscsiServer target(ReservationStore reservations) throws StartException {
      List<Portal> portals = new ArrayList<>();
      for (HostPort each : settings.iscsi()) {
        // Each a group of its own: other networks are other paths, which initiators may use with
        // the same ISID (RFC 7143 10.1.1).
        portals.add(new Portal(resolve(Setting.ISCSI, each), portals.size() + 1));
      }
      IscsiServer iscsi =
          new IscsiServer(
              IscsiServerConfig.of(portals)
                  .withMaxConnections(descriptors.budget().iscsi())
                  .withStoreFullBusy(settings.storeFullBusy()),
              reservations,
              targetEvents);
      started.push("target", () -> iscsi.close(LOGOUT_GRACE));
      descriptors.onListening(
          "iscsi", descriptors.budget().iscsi(), () -> iscsi.counters().connections());
      return iscsi;
    }

    private Control control(
        DataDirectory data,
        VolumeStore volumes,
        TargetsOverIscsi targets,
        PowerFromHardware power,
        ImageFiles images) {
      SqliteDatabase database =
          started.push("database", SqliteDatabase.open(data.resolve("m2.db")));
      Ports ports = new Ports(database, volumes, targets, power, images, InstantSource.system());
      BootDeadlines.Dhcp dhcp =
          settings
              .dhcp()
              .map(on ->
                  switch (on.mode()) {
                    case SERVER -> BootDeadlines.Dhcp.SERVER;
                    case PROXY -> BootDeadlines.Dhcp.PROXY;
                    case EXTERNAL -> BootDeadlines.Dhcp.ELSEWHERE;
                  })
              .orElse(BootDeadlines.Dhcp.ELSEWHERE);
      ControlSettings limits =
          ControlSettings.of(dhcp).withTrashRetention(settings.trashRetention());
      return started.push("control plane", Control.open(ports, limits));
    }

    private List<InetSocketAddress> open(IscsiServer iscsi) throws StartException, IOException {
      try {
        return iscsi.open().stream().map(Portal::address).toList();
      } catch (PortalException e) {
        HostPort at = settings.iscsi().get(e.portal().groupTag() - 1);
        throw taken(Setting.ISCSI, at, e.reason());
      }
    }

    private List<HostPort> named(List<InetSocketAddress> bound) {
      List<HostPort> portals = new ArrayList<>();
      for (HostPort each : settings.iscsi()) {
        portals.add(each.withPort(bound.get(portals.size()).getPort()));
      }
      return portals;
    }

    private int boot(BootDesk desk) throws StartException {
      InetSocketAddress at = resolve(Setting.BOOT_HTTP, settings.bootHttp());
      LoaderDirectory loaders =
          settings.loaders().map(LoaderDirectory::of).orElseGet(LoaderDirectory::ofDistribution);
      int most = descriptors.budget().boot();
      BootHttpConfig config =
          new BootHttpConfig(at, settings.advertise(), loaders, BOOT_RETRY)
              .withMaxConnections(most);
      try {
        BootHttpServer server =
            started.push("boot listener", BootHttpServer.start(config, desk, desk));
        descriptors.onListening("boot", most, server::connections);
        return server.address().getPort();
      } catch (IOException e) {
        throw taken(Setting.BOOT_HTTP, settings.bootHttp(), e);
      }
    }

    private ApiServer api(AccessToken token, ApiPorts ports) throws StartException {
      InetSocketAddress at = resolve(Setting.HTTP, settings.http());
      int most = descriptors.budget().api();
      try {
        ApiServer api = started.push("API", ApiServer.start(at, most, token, ports));
        descriptors.onListening("api", most, api::connections);
        return api;
      } catch (IOException e) {
        throw taken(Setting.HTTP, settings.http(), e);
      }
    }

    private static StartException taken(Setting setting, HostPort at, IOException e) {
      return new StartException(
          setting.flag() + ": cannot listen on " + at + ": " + e.getMessage(),
          "choose another address with " + setting.flag() + "; port 0 takes a free one",
          e);
    }

    private static InetSocketAddress resolve(Setting setting, HostPort at) throws StartException {
      try {
        return at.resolve();
      } catch (IOException e) {
        throw new StartException(
            setting.flag() + ": the host " + at.host() + " is not known",
            "give an address of this machine",
            e);
      }
    }
  }
}
