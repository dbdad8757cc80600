export default { title: 'Coworking', root: 'src' };
