"Build rerec from settings.ini, where nbdev keeps all project metadata."
from configparser import ConfigParser
from pathlib import Path
import shlex
from setuptools import setup, find_packages

root = Path(__file__).parent
cp = ConfigParser(delimiters=['='])
cp.read(root/'settings.ini', encoding='utf-8')
cfg = cp['DEFAULT']
def reqs(k): return shlex.split(cfg.get(k, ''))

setup(
    name=cfg['lib_name'], version=cfg['version'], description=cfg['description'],
    long_description=(root/'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    author=cfg['author'], author_email=cfg['author_email'], keywords=cfg['keywords'],
    license='Apache-2.0', url=cfg['git_url'],
    packages=find_packages(include=[cfg['lib_path'], cfg['lib_path']+'.*']), package_data={cfg['lib_path']: ['mini/*.csv', 'probes/*.jsonl', 'words/*.csv', 'configs/*', 'configs/accelerate/*']},
    python_requires='>='+cfg['min_python'], install_requires=reqs('requirements'),
    extras_require={k: reqs(f'{k}_requirements') for k in ('dev', 'docs', 'gguf', 'bench', 'reword', 'app', 'serve', 'completion', 'lab')},
    entry_points={'nbdev': [f"{cfg['lib_path']}={cfg['lib_path']}._modidx:d"],
                  'console_scripts': reqs('console_scripts')},
    classifiers=['Programming Language :: Python :: 3'], project_urls={'Docs': cfg['doc_host']+cfg['doc_baseurl']},
    zip_safe=False,
)
