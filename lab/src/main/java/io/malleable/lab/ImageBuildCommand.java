package io.malleable.lab;

import io.malleable.cli.CommandFailure;
import io.malleable.cli.ProgressLine;
import io.malleable.cli.Terminal;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code m2 image build}: makes a bootable image on this machine; no server is asked. */
@Command(
    name = "build",
    mixinStandardHelpOptions = true,
    description = "Builds a bootable image from the distribution's packages, without root",
    footer = {
      "",
      "tiny: 128 MiB for BIOS and UEFI. Finds its drive by iBFT, counts its boots, says M2 READY on",
      "the serial console, and gives a root shell there. For trying and testing.",
      "",
      "What was built before from the same packages is not built again."
    })
public final class ImageBuildCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  /** The names are what the user types. */
  enum Kind {
    TINY
  }

  @Parameters(index = "0", paramLabel = "KIND", description = "tiny")
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

  @Override
  public Integer call() {
    Path target = file;
    if (target != null && Files.exists(target) && !force) {
      throw new CommandFailure(target + " is there already", "Replace it with --force.");
    }
    PrintWriter err = spec.commandLine().getErr();
    Path cache = TinyImage.defaultCache(System.getenv());
    try (ProgressLine line = new ProgressLine(Terminal.ofProcess(), err, "image " + name(kind))) {
      Path image =
          new TinyImage(cache, System.getenv())
              .build((step, steps, text) -> line.show((step - 1.0) / steps, text));
      if (target != null) {
        copy(image, target);
      }
      spec.commandLine().getOut().println(target == null ? image : target);
      return 0;
    } catch (IOException e) {
      throw new CommandFailure("the image cannot be built: " + e.getMessage(), null, e);
    }
  }

  private static String name(Kind kind) {
    return switch (kind) {
      case TINY -> "tiny";
    };
  }

  /** Most of the image is a hole, which Java's own copy would fill. */
  private static void copy(Path image, Path target) throws IOException {
    Process copy =
        new ProcessBuilder(
                "cp", "--sparse=always", "--", image.toString(), target.toAbsolutePath().toString())
            .redirectErrorStream(true)
            .start();
    try (var output = copy.getInputStream()) {
      String said = new String(output.readAllBytes(), StandardCharsets.UTF_8).strip();
      if (copy.waitFor() != 0) {
        throw new IOException("it cannot be copied to " + target + ": " + said);
      }
    } catch (InterruptedException e) {
      copy.destroy();
      Thread.currentThread().interrupt();
      throw new IOException("interrupted while it was copied to " + target, e);
    }
  }
}
