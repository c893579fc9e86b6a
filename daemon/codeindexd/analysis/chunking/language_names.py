"""Tables of file names, extensions and interpreters: each line has a language and its names."""

from __future__ import annotations

_EXTENSIONS = """
ada adb ads ada
agda agda lagda
apl apl dyalog
asciidoc adoc asciidoc
asm asm s S nasm a51 inc
astro astro
autohotkey ahk
awk awk gawk
bash sh bash zsh ksh zsh-theme bats ebuild eclass command tmux
batch bat cmd
bazel bzl bazel star
bibtex bib
bicep bicep
bison y yy ypp
c c h idc
capnproto capnp
clojure clj cljs cljc edn bb
cmake cmake cmake.in
cobol cob cbl cpy
coffeescript coffee litcoffee
commonlisp lisp lsp cl asd
cpp cpp cc cxx c++ hpp hh hxx h++ ipp tpp inl ixx cppm ino cu cuh mm hip txx C H
crystal cr
csharp cs csx cake
css css
csv csv tsv
cue cue
cypher cypher cql
cython pyx pxd pxi
d d di
dart dart
devicetree dts dtsi
dhall dhall
diff diff patch
dockerfile dockerfile containerfile
dot gv dot
elisp el
elixir ex exs
elm elm
erb erb rhtml
erlang erl hrl escript
fish fish
forth fth 4th
fortran f f77 f90 f95 f03 f08 for F F90
fsharp fs fsi fsx
gdscript gd
gherkin feature
gleam gleam
glsl glsl vert frag geom comp tesc tese vsh fsh
go go
gomod go.mod go.sum go.work
gotemplate tmpl gotmpl gohtml
gradle gradle
graphql graphql gql graphqls
groovy groovy gvy gsh jenkinsfile
hack hack hhi
haml haml
handlebars hbs handlebars mustache
haskell hs lhs hsc hs-boot
haxe hx
hcl hcl tf tfvars nomad tofu
heex heex leex eex
hlsl hlsl fx
html html htm xhtml shtml
idris idr lidr
ini ini cfg conf properties editorconfig desktop service socket timer target mount
janet janet
java java jav
javascript js jsx mjs cjs es6 jsm
jinja jinja jinja2 j2
json json jsonc json5 geojson jsonld webmanifest har avsc topojson code-workspace sublime-project
jsonl jsonl ndjson
jsonnet jsonnet libsonnet
jsp jsp jspx tag
julia jl
jupyter ipynb
just just
kotlin kt kts ktm
latex tex sty cls ltx dtx
lean lean
less less
liquid liquid
llvm ll
lua lua luau rockspec
make mk mak make
markdown md markdown mdx mkd mdown mkdn rmd qmd livemd
matlab matlab
mermaid mmd mermaid
meson meson.build
mlir mlir
mojo mojo
move move
nginx nginx nginxconf
nim nim nims nimble
ninja ninja
nix nix
nushell nu
objectivec m
ocaml ml mll mly eliom
ocaml_interface mli eliomi
odin odin
org org
pascal pas pp dpr lpr
perl pl pm t pod psgi
php php php3 php4 php5 php7 phtml inc.php
plsql pls pks pkb plsql
pony pony
postscript ps eps
powershell ps1 psm1 psd1
prisma prisma
prolog pro prolog plt
protobuf proto
pug pug jade
puppet epp
purescript purs
python py pyi pyw py3 wsgi gyp gypi SConscript bzl.py
qml qml
r r R rprofile
racket rkt rktd scrbl
raku raku rakumod p6 pm6
razor cshtml razor
reason re rei
rescript res resi
rego rego
restructuredtext rst rest
robot robot resource
ruby rb rake gemspec ru rbi podspec thor jbuilder builder rabl
rust rs rs.in
sass sass
scala scala sc sbt mill
scheme scm ss sld sps
scss scss
smalltalk st
smithy smithy
solidity sol
sparql sparql rq
sql sql ddl dml psql mysql pgsql
starlark starlark
stylus styl
svelte svelte
swift swift swiftinterface
systemverilog sv svh
tablegen td
tcl tcl tk itcl
thrift thrift
toml toml
tsx tsx
turtle ttl nt trig
twig twig
typescript ts mts cts d.ts
typst typ
vala vala vapi
vbnet vb
verilog v vh
vhdl vhd vhdl
vim vim vimrc
vue vue
wat wat wast
wgsl wgsl
xml xml xsd xsl xslt svg plist csproj vbproj fsproj vcxproj props targets xaml resx nuspec wsdl rng
xml storyboard xib pom dita
xquery xq xquery xqm
yaml yaml yml clang-format clang-tidy cff sublime-syntax
yang yang
zig zig zon
"""

_NAMES = """
bash .bashrc .bash_profile .bash_aliases .bash_logout .profile .zshrc .zshenv .zprofile .envrc PKGBUILD
bash APKBUILD bashrc configure gradlew
bazel BUILD WORKSPACE BUILD.bazel WORKSPACE.bazel MODULE.bazel Tiltfile
cmake CMakeLists.txt
codeowners CODEOWNERS
crontab crontab
dockerfile Dockerfile Containerfile
elixir mix.lock
gitattributes .gitattributes .gitmodules
gitignore .gitignore .dockerignore .npmignore .prettierignore .eslintignore .codeindexignore .ignore .rgignore
gomod go.mod go.sum go.work
groovy Jenkinsfile
ini .editorconfig .gitconfig .npmrc .pylintrc .flake8 .coveragerc setup.cfg tox.ini pip.conf .wgetrc .curlrc
javascript Jakefile .node_repl_history
json .babelrc .eslintrc .prettierrc .jshintrc .swcrc composer.lock Pipfile.lock deno.lock flake.lock .bowerrc
json .watchmanconfig
just justfile Justfile .justfile
kconfig Kconfig
make Makefile makefile GNUmakefile BSDmakefile Kbuild Makefile.am Makefile.in
markdown README.markdown
meson meson.build meson_options.txt
ninja build.ninja
perl cpanfile Makefile.PL Rexfile
procfile Procfile
python SConstruct SConscript wscript .pythonrc
r .Rprofile
requirements requirements.txt constraints.txt
ruby Gemfile Rakefile Podfile Vagrantfile Brewfile Guardfile Capfile Fastfile Appfile Dangerfile Berksfile
ruby Puppetfile .irbrc .pryrc config.ru
starlark BUCK Tiltfile
toml Cargo.lock poetry.lock uv.lock Pipfile pdm.lock Gopkg.lock
vim .vimrc .gvimrc vimrc
yaml .clang-format .clang-tidy .gemrc yarn.lock pubspec.lock .yamllint
"""

_INTERPRETERS = """
awk awk gawk mawk nawk
bash sh bash zsh ksh dash ash mksh bats
clojure clojure bb
commonlisp sbcl clisp ecl
crystal crystal
elixir elixir
erlang escript
expect expect
fish fish
groovy groovy
haskell runhaskell runghc stack
javascript node nodejs deno bun qjs d8 gjs
julia julia
just just
kotlin kotlin
lua lua luajit texlua
make make gmake
nix nix-shell
nushell nu
ocaml ocaml ocamlrun
perl perl
php php
powershell pwsh powershell
python python pypy pypy3 python2 python3 uv uvx sage ipython
r Rscript r
racket racket
raku raku perl6
ruby ruby jruby macruby rake rbx
rust rust-script
scala scala amm scala-cli
scheme guile csi chicken scheme
swift swift
tcl tclsh wish
typescript ts-node tsx
"""

_PREFIXES = """
dockerfile dockerfile containerfile
make makefile gnumakefile
"""


def _table(text: str) -> dict[str, str]:
    return {word: line.split()[0] for line in text.strip().splitlines() for word in line.split()[1:]}


BY_EXTENSION = _table(_EXTENSIONS)
BY_NAME = _table(_NAMES)
BY_INTERPRETER = _table(_INTERPRETERS)
BY_PREFIX = _table(_PREFIXES)
