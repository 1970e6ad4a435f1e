package io.malleable.app;

import static com.tngtech.archunit.base.DescribedPredicate.not;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.fields;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.domain.JavaModifier;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** The rules of docs/ARCHITECTURE.md that a compiler does not check. */
final class ArchitectureTest {
  /** A room and the rooms that it may use; whatever is not named here, it may not. */
  private record Room(String name, List<String> below) {}

  private static final List<Room> ROOMS =
      List.of(
          new Room("iscsi", List.of()),
          new Room("image", List.of()),
          new Room("volume", List.of()),
          new Room("http", List.of()),
          new Room("netboot", List.of("http")),
          new Room("hardware", List.of()),
          new Room("control", List.of("volume", "netboot", "hardware")),
          new Room("server", List.of("control", "volume", "netboot", "hardware", "image", "http")),
          new Room("cli", List.of()),
          new Room("lab", List.of("cli", "hardware")));

  private static final JavaClasses CODE =
      new ClassFileImporter()
          .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
          .importPackages("io.malleable");

  @Test
  void roomsUseOnlyRoomsBelowThem() {
    for (Room room : ROOMS) {
      String own = "io.malleable." + room.name() + "..";
      List<String> allowed = new ArrayList<>(List.of(own));
      room.below().forEach(below -> allowed.add("io.malleable." + below + ".."));
      noClasses()
          .that()
          .resideInAPackage(own)
          .should()
          .dependOnClassesThat(
              resideInAnyPackage("io.malleable..")
                  .and(not(resideInAnyPackage(allowed.toArray(String[]::new)))))
          .because("a room may use only the rooms below it")
          .allowEmptyShould(true)
          .check(CODE);
    }
  }

  @Test
  void packagesHaveNoCycles() {
    slices().matching("io.malleable.(**)").should().beFreeOfCycles().check(CODE);
  }

  @Test
  void storesAndImageFilesMeetInTheContractOnly() {
    List<String> shelves =
        List.of(
            "io.malleable.volume.local..",
            "io.malleable.volume.rbd..",
            "io.malleable.volume.imagefile..");
    for (String shelf : shelves) {
      List<String> others = shelves.stream().filter(other -> !other.equals(shelf)).toList();
      noClasses()
          .that()
          .resideInAPackage(shelf)
          .should()
          .dependOnClassesThat()
          .resideInAnyPackage(others.toArray(String[]::new))
          .check(CODE);
    }
  }

  @Test
  void theDomainKnowsNeitherHttpNorSql() {
    noClasses()
        .that()
        .resideInAPackage("io.malleable.control")
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage(
            "java.sql..",
            "javax.sql..",
            "org.jdbi..",
            "org.flywaydb..",
            "org.sqlite..",
            "java.net.http..",
            "com.sun.net.httpserver..",
            "io.helidon..")
        .allowEmptyShould(true)
        .check(CODE);
  }

  @Test
  void theTargetLibraryStandsAlone() {
    noClasses()
        .that()
        .resideInAPackage("io.malleable.iscsi..")
        .should()
        .dependOnClassesThat(
            not(resideInAnyPackage("java..", "io.malleable.iscsi..", "org.jspecify.annotations..")))
        .check(CODE);
  }

  @Test
  void nothingIsCalledUtilOrCommonOrImplOrManager() {
    noClasses()
        .that(not(JavaClass.Predicates.simpleName("LastingLogManager")))
        .should()
        .haveSimpleNameEndingWith("Util")
        .orShould()
        .haveSimpleNameEndingWith("Utils")
        .orShould()
        .haveSimpleNameEndingWith("Impl")
        .orShould()
        .haveSimpleNameEndingWith("Manager")
        .orShould()
        .resideInAnyPackage("..util..", "..common..", "..impl..", "..manager..")
        .check(CODE);
  }

  @Test
  void onlyConstantsArePublicFields() {
    fields()
        .that()
        .arePublic()
        .should()
        .beFinal()
        .andShould()
        .beStatic()
        .allowEmptyShould(true)
        .check(CODE);
  }

  @Test
  void classesAreFinalUnlessTheyAreMeantToBeExtended() {
    classes()
        .that()
        .areNotInterfaces()
        .and()
        .areNotEnums()
        .and()
        .doNotHaveModifier(JavaModifier.ABSTRACT)
        .and()
        .areNotAnonymousClasses()
        .and(not(JavaClass.Predicates.simpleName("package-info")))
        .and(not(extended()))
        .should()
        .haveModifier(JavaModifier.FINAL)
        .check(CODE);
  }

  @Test
  void sourceFilesStayReadable() throws IOException {
    int most = 500;
    List<String> tooLong = new ArrayList<>();
    try (Stream<Path> files = Files.walk(Path.of(".."), 20)) {
      for (Path file : files.filter(ArchitectureTest::isMainSource).toList()) {
        try (Stream<String> lines = Files.lines(file)) {
          long count = lines.count();
          if (count > most) {
            tooLong.add(file + " has " + count + " lines");
          }
        }
      }
    }
    assertTrue(tooLong.isEmpty(), "at most " + most + " lines: " + tooLong);
  }

  private static boolean isMainSource(Path file) {
    return file.toString().contains("src/main/java/") && file.toString().endsWith(".java");
  }

  private static com.tngtech.archunit.base.DescribedPredicate<JavaClass> extended() {
    return com.tngtech.archunit.base.DescribedPredicate.describe(
        "extended or sealed", type -> !type.getSubclasses().isEmpty());
  }
}
