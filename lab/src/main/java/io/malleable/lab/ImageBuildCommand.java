package io.malleable.lab;

import io.malleable.cli.CommandFailure;
import io.malleable.cli.ProgressLine;
import io.malleable.cli.Terminal;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code m2 image build}: makes a bootable image on this machine; no server is asked. */
@Command(
    name = "build",
    mixinStandardHelpOptions = true,
    description = "Builds a bootable image from the distribution's packages",
    footer = {
      "",
      "tiny: 128 MiB for BIOS and UEFI. Finds its drive by iBFT, counts its boots,",
      "says M2 READY on the serial console, and gives a root shell there. For",
      "trying and testing. Needs no root.",
      "",
      "debian-12: a golden image of 10 GiB for BIOS and UEFI, with cloud-init, which",
      "gives it its name and keys. Log in as the user debian. Needs root, or a user",
      "namespace with subordinate ids.",
      "",
      "What was built before from the same packages is not built again."
    })
public final class ImageBuildCommand implements Callable<Integer> {
  /** For at most 2 GiB to the slowest disk that one would boot from. */
  private static final Duration COPY_LIMIT = Duration.ofMinutes(30);

  @Spec private CommandSpec spec;

  /** The names are what the user types. */
  enum Kind {
    TINY("tiny"),
    DEBIAN_12("debian-12");

    private final String label;

    Kind(String label) {
      this.label = label;
    }

    @Override
    public String toString() {
      return label;
    }
  }

  @Parameters(index = "0", paramLabel = "KIND", description = "tiny or debian-12")
  private Kind kind;

  @Parameters(
      index = "1",
      arity = "0..1",
      paramLabel = "FILE",
      description = "where to put the raw image; it stays in the cache when left out")
  private @Nullable Path file;

  @Option(
      names = {"-f", "--force"},
      description = "replace FILE when it is there")
  private boolean force;

  @Option(
      names = "--mirror",
      paramLabel = "URL",
      description = "of Debian's packages, kept in the image (default: what apt uses here)")
  private @Nullable String mirror;

  @Option(
      names = "--security-mirror",
      paramLabel = "URL",
      description = "of its security updates (default: what apt uses here, or MIRROR-security)")
  private @Nullable String securityMirror;

  @Override
  public Integer call() {
    if (kind == Kind.TINY && (mirror != null || securityMirror != null)) {
      throw new ParameterException(
          spec.commandLine(), "--mirror and --security-mirror are for debian-12");
    }
    Path target = file;
    if (target != null && Files.exists(target) && !force) {
      throw new CommandFailure(target + " is there already", "Replace it with --force.");
    }
    if (target != null && Files.exists(target) && !Files.isRegularFile(target)) {
      throw new CommandFailure(target + " is not a file", "Name a file, and copy it from there.");
    }
    PrintWriter err = spec.commandLine().getErr();
    try (ProgressLine line = new ProgressLine(Terminal.ofProcess(), err, "image " + kind)) {
      Path image = build((step, steps, text) -> line.show((step - 1.0) / steps, text));
      if (target != null) {
        copy(image, target);
      }
      spec.commandLine().getOut().println(target == null ? image : target);
      return 0;
    } catch (IOException e) {
      throw new CommandFailure("the image cannot be built: " + e.getMessage(), null, e);
    }
  }

  private Path build(ImageProgress progress) throws IOException {
    Map<String, String> environment = System.getenv();
    Path cache = TinyImage.defaultCache(environment);
    return switch (kind) {
      case TINY -> new TinyImage(cache, environment).build(progress);
      case DEBIAN_12 ->
          new DebianImage(
                  cache,
                  environment,
                  Optional.ofNullable(mirror),
                  Optional.ofNullable(securityMirror))
              .build(progress);
    };
  }

  /**
   * Copies to another name first, so that nobody takes half an image for a whole one. Most of it is
   * a hole, which Java's own copy would fill.
   */
  private static void copy(Path image, Path target) throws IOException {
    Path whole = Files.exists(target) ? target.toRealPath() : target.toAbsolutePath();
    Path part = whole.resolveSibling(whole.getFileName() + ".part");
    Process copy =
        new ProcessBuilder("cp", "--sparse=always", "--", image.toString(), part.toString())
            .redirectErrorStream(true)
            .start();
    try (var output = copy.getInputStream()) {
      if (!copy.waitFor(COPY_LIMIT.toSeconds(), TimeUnit.SECONDS)) {
        throw new IOException(
            "copying it to " + target + " took longer than " + COPY_LIMIT.toMinutes() + " minutes");
      }
      String said = new String(output.readAllBytes(), StandardCharsets.UTF_8).strip();
      if (copy.exitValue() != 0) {
        throw new IOException("it cannot be copied to " + target + ": " + said);
      }
      Files.move(part, whole, StandardCopyOption.ATOMIC_MOVE);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted while it was copied to " + target, e);
    } finally {
      copy.destroyForcibly();
      Files.deleteIfExists(part);
    }
  }
}
